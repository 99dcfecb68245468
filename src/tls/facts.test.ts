// The facts read from certificates of several kinds, each made by OpenSSL.
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { factsOf } from './facts.ts';

function made(subject: string, ...key: readonly string[]): X509Certificate {
  const words = ['req', '-x509', '-utf8', '-nodes', '-days', '30', '-subj', subject, '-keyout', '/dev/null'];
  const names = 'subjectAltName=DNS:Gate.Example,IP:2001:db8::1';
  return new X509Certificate(
    execFileSync('openssl', [...words, ...key, '-addext', names], { stdio: ['ignore', 'pipe', 'ignore'] }),
  );
}

test.each([
  ['EC P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
  ['EC P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
  ['RSA 2048', ['-newkey', 'rsa:2048']],
  ['Ed25519', ['-newkey', 'ed25519']],
])('reports the kind of key as %s', (kind, key) => {
  const facts = factsOf(made('/CN=x', ...key));
  expect(facts.keyType).toBe(kind);
  expect(facts.names).toEqual(['gate.example', '2001:db8::1']);
  expect((facts.notAfter as number) - (facts.notBefore as number)).toBe(30 * 86_400_000);
});

test.each([
  ["/C=US/O=Let's Encrypt/CN=R11", "R11, Let's Encrypt"],
  ['/CN=研究室の関所', '研究室の関所'],
  ['/O=Signs, Seals "and" Delivers/CN=Root', 'Root, Signs, Seals "and" Delivers'],
  ['/OU=Basement', 'Basement'],
])('shows an issuer %s in one line: %s', (subject, line) => {
  expect(factsOf(made(subject, '-newkey', 'ed25519')).issuer).toBe(line);
});
