// Settings to copy for each tool, with the gateway's real address, a key and a model.
import { NativeSelect, SimpleGrid, Stack } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useGet } from '../api.ts';
import type { Model, PageOf } from '../api-types.ts';
import { useSession } from '../session.tsx';
import { Copy } from '../shell/copy.tsx';

type Write = (url: string, key: string, model: string) => string;

const tools: Readonly<Record<string, Write>> = {
  curl: (url, key, model) => `curl ${url}/api/chat -H 'x-api-key: ${key}' -H 'content-type: application/json' -d '{
  "model": "${model}",
  "messages": [{"role": "user", "content": "Why is the sky blue?"}],
  "stream": false
}'`,
  'Ollama CLI': (url, _key, model) => `# Give your operator the line of ~/.ollama/id_ed25519.pub, then:
export OLLAMA_AUTH=1
export OLLAMA_HOST=${url}
ollama run ${model}`,
  'Python: ollama': (url, key, model) => `# pip install ollama
from ollama import Client

client = Client(host="${url}", headers={"x-api-key": "${key}"})
for part in client.chat(model="${model}", messages=[{"role": "user", "content": "Hello"}], stream=True):
    print(part.message.content, end="", flush=True)`,
  'JavaScript: ollama': (url, key, model) => `// npm install ollama
import { Ollama } from 'ollama';

const ollama = new Ollama({ host: '${url}', headers: { 'x-api-key': '${key}' } });
const { message } = await ollama.chat({ model: '${model}', messages: [{ role: 'user', content: 'Hello' }] });
console.log(message.content);`,
  'Python: OpenAI': (url, key, model) => `# pip install openai
from openai import OpenAI

client = OpenAI(base_url="${url}/v1", api_key="${key}")
answer = client.chat.completions.create(model="${model}", messages=[{"role": "user", "content": "Hello"}])
print(answer.choices[0].message.content)`,
  'JavaScript: OpenAI': (url, key, model) => `// npm install openai
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${url}/v1', apiKey: '${key}' });
const answer = await client.chat.completions.create({
  model: '${model}',
  messages: [{ role: 'user', content: 'Hello' }],
});
console.log(answer.choices[0]?.message.content);`,
  Anthropic: (url, key, model) => `# pip install anthropic
from anthropic import Anthropic

client = Anthropic(base_url="${url}", api_key="${key}")
answer = client.messages.create(model="${model}", max_tokens=512, messages=[{"role": "user", "content": "Hello"}])
print(answer.content[0].text)`,
  'Claude Code': (url, key, model) => `export ANTHROPIC_BASE_URL=${url}
export ANTHROPIC_API_KEY=${key}
export ANTHROPIC_MODEL=${model}
claude`,
  'Open WebUI': (url, key) => `# Settings → Connections → OpenAI API
URL: ${url}/v1
Key: ${key}

# or, as environment variables of its container
OPENAI_API_BASE_URL=${url}/v1
OPENAI_API_KEY=${key}`,
  LangChain: (url, key, model) => `# pip install langchain-openai
from langchain_openai import ChatOpenAI

model = ChatOpenAI(base_url="${url}/v1", api_key="${key}", model="${model}")
print(model.invoke("Hello").content)`,
};

export function Setups({ secret }: { readonly secret?: string }): ReactNode {
  const { t } = useTranslation('member');
  const { session } = useSession();
  const models = useGet<PageOf<Model>>('/me/models');
  const names = models.data?.items.map(({ name }) => name) ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  const model = chosen ?? names[0] ?? 'gemma3:4b';
  const [tool, setTool] = useState('curl');
  return (
    <Stack gap="sm">
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm" maw={640}>
        <NativeSelect
          label={t('setups.tool')}
          data={Object.keys(tools)}
          value={tool}
          onChange={({ currentTarget }) => setTool(currentTarget.value)}
        />
        {names.length > 1 && (
          <NativeSelect
            label={t('setups.model')}
            data={names}
            value={model}
            onChange={({ currentTarget }) => setChosen(currentTarget.value)}
          />
        )}
      </SimpleGrid>
      <Copy
        block
        text={tools[tool]?.(session.gate.url, secret ?? t('setups.key'), model) ?? ''}
        label={t('setups.shown', { tool })}
      />
    </Stack>
  );
}
