import { expect, test } from 'vitest';
import { smtpAddress } from './smtp.ts';

test.each([
  ['smtp://127.0.0.1:2525', 'smtp://127.0.0.1:2525'],
  ['smtps://user:plain@mail.example.org:465', 'smtps://user:plain@mail.example.org:465'],
  ['smtp://user:pa#ss@mail.example.org', 'smtp://user:pa%23ss@mail.example.org'],
  ['smtp://user:pa%23ss@mail.example.org', 'smtp://user:pa%23ss@mail.example.org'],
  [
    'smtp://me@example.org:a/b?c@d:e%@mail.example.org:25/',
    'smtp://me%40example.org:a%2Fb%3Fc%40d%3Ae%25@mail.example.org:25',
  ],
  ['smtps://u:p@[::1]:465?tls.rejectUnauthorized=false', 'smtps://u:p@[::1]:465?tls.rejectUnauthorized=false'],
])('%s is read with its whole password', (text, address) => {
  expect(smtpAddress(text)).toBe(address);
});

test.each([
  'http://x',
  'smtp://',
  'smtp://host:0',
  'smtp://host:70000',
  'smtp://a b@host',
  'smtp://host#x',
  'smtp://user:pa#ss',
])('%s is not a mail server', (text) => {
  expect(smtpAddress(text)).toBeUndefined();
});
