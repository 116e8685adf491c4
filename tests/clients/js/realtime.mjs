// A scenario of the stock @openai/agents realtime session against a server: node realtime.mjs URL SCENARIO [PCM FILE]
// The key is read from PARLEY_KEY. Every event goes to stdout as a line of JSON: {"at": "transport" | name, ...}.
import { readFileSync } from 'node:fs';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents/realtime';
import WebSocket from 'ws';
import { z } from 'zod';

const [url, scenario, pcmPath] = process.argv.slice(2);
const apiKey = process.env.PARLEY_KEY;
const say = (at, fields) => process.stdout.write(JSON.stringify({ at, ...fields }) + '\n');
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const lamp = tool({
  name: 'lamp',
  description: 'Switches the lamp.',
  parameters: z.object({ on: z.boolean() }),
  execute: async ({ on }) => {
    say('tool', { on });
    return on ? 'the lamp is on' : 'the lamp is off';
  },
});

// Browsers have no headers: the key goes among the subprotocols. `ws` stands in for the browser's own class.
const options = scenario === 'browser'
  ? {
      url,
      createWebSocket: async () =>
        new WebSocket(url, ['realtime', `openai-insecure-api-key.${apiKey}`, 'openai-agents-sdk']),
    }
  : { url };
const transport = new OpenAIRealtimeWebSocket(options);
const agent = new RealtimeAgent({ name: 'Lamp', instructions: 'Be brief.', tools: [lamp] });
const config = scenario === 'spoken' || scenario === 'interrupt' ? {} : { outputModalities: ['text'] };
const session = new RealtimeSession(agent, { transport, config });

const seen = [];
let news = () => {};
const until = async (test) => {
  while (!seen.some(test)) await new Promise((done) => { news = done; });
};
let audioBytes = 0;
session.on('transport_event', (event) => {
  seen.push(event);
  const { delta, ...rest } = event;
  say('transport', event.type === 'response.output_audio.delta' ? { type: event.type } : { ...rest, delta });
  news();
});
session.on('audio', ({ data }) => { audioBytes += data.byteLength; });
session.on('audio_interrupted', () => say('audio_interrupted', {}));
session.on('history_updated', (history) => say('history', { history }));
session.on('error', (error) => say('error', { error: String(error?.error?.error?.message ?? JSON.stringify(error)) }));

const isDone = (event) => event.type === 'response.done';

async function speak(pcm, atMost) {
  const step = 2 * 480;
  for (let at = 0; at < Math.min(pcm.length, atMost ?? pcm.length); at += step) {
    const piece = pcm.subarray(at, at + step);
    session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
    await sleep(20);
  }
}

await session.connect({ apiKey, url });
await until((event) => event.type === 'session.updated');
switch (scenario) {
  case 'browser':
  case 'text':
    session.sendMessage('hello there');
    await until(isDone);
    break;
  case 'tool': {
    session.sendMessage('light please');
    await until((event) => isDone(event) && event.response.output.some((item) => item.type === 'message'));
    break;
  }
  case 'spoken':
    await Promise.all([speak(readFileSync(pcmPath)), until(isDone)]);
    break;
  case 'interrupt': {
    session.sendMessage('tell me a story');
    let heard = 0;
    await until((event) => event.type === 'response.output_audio.delta' && ++heard > 8);
    await speak(readFileSync(pcmPath));
    await until((event) => isDone(event) && event.response.status === 'cancelled');
    await until((event) => event.type === 'conversation.item.truncated');
    await until((event) => event.type === 'conversation.item.retrieved');
    break;
  }
}
await sleep(300);
say('end', { audioBytes, history: session.history });
session.close();
process.exit(0);
