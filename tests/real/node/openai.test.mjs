// OpenAI's Node client, pointed at each front by nothing but a base URL and a key.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "node:test";
import OpenAI, { NotFoundError } from "openai";

const { GATEWAY_URL, CROSSED_URL, OLLAMA_URL, OLLAMA_PID } = process.env;
const fronts = GATEWAY_URL
  ? { gateway: GATEWAY_URL, crossed: CROSSED_URL }
  : { ollama: OLLAMA_URL };

const model = "tiny";
const messages = [{ role: "user", content: "hi" }];
const ask = { model, messages, seed: 7, temperature: 1, top_p: 1, max_tokens: 24 };

/** What Ollama itself answers: the text that every other way has to give. */
async function truth() {
  const options = { seed: 7, temperature: 1, top_p: 1, num_predict: 24 };
  const body = JSON.stringify({ model, messages, stream: false, options });
  const answer = await fetch(`${OLLAMA_URL}/api/chat`, { method: "POST", body });
  return (await answer.json()).message.content;
}

/** Old Ollamas give floats to this client, which asks for base64 and decodes whatever comes. */
async function knowsBase64(url) {
  const body = JSON.stringify({ model, input: "one", encoding_format: "base64" });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${url}/v1/embeddings`, { method: "POST", body, headers });
  return typeof (await answer.json()).data[0].embedding === "string";
}

/** CPU time that Ollama and the processes it started have used, in hundredths of a second. */
async function ticks() {
  const used = new Map();
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    used.set(pid, { parent: fields[1], ticks: Number(fields[11]) + Number(fields[12]) });
  }
  let total = 0;
  for (const [pid, { parent, ticks }] of used) {
    if (pid === OLLAMA_PID || parent === OLLAMA_PID) total += ticks;
  }
  return total;
}

/** The share of one core that Ollama uses over the next moments. */
async function load() {
  const before = await ticks();
  await pause(300);
  return ((await ticks()) - before) / 30;
}

for (const [name, url] of Object.entries(fronts)) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "local", maxRetries: 0, timeout: 30_000 });

  test(`${name}: chat unstreamed is the answer of Ollama`, async () => {
    const answer = await client.chat.completions.create(ask);
    assert.equal(answer.choices[0].message.content, await truth());
    assert.equal(answer.choices[0].finish_reason, "length");
    assert.equal(answer.usage.completion_tokens, 24);
  });

  test(`${name}: chat streamed is the same text in pieces`, async () => {
    const body = { ...ask, stream: true, stream_options: { include_usage: true } };
    // Not from the gateway's memory, which gives a whole answer in one piece.
    const headers = { "Cache-Control": "no-store" };
    const stream = await client.chat.completions.create(body, { headers });
    let text = "";
    let pieces = 0;
    let usage;
    let finish;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish ??= chunk.choices[0]?.finish_reason;
      usage = chunk.usage;
      pieces += 1;
    }
    assert.equal(text, await truth());
    assert.equal(finish, "length");
    assert.equal(usage.completion_tokens, 24);
    assert.ok(pieces > 10, `${pieces} pieces`);
  });

  test(`${name}: the accumulating helper sees a finish reason`, async () => {
    const answer = await client.chat.completions.stream(ask).finalChatCompletion();
    assert.equal(answer.choices[0].message.content, await truth());
    assert.equal(answer.choices[0].finish_reason, "length");
  });

  test(`${name}: embeddings are the same by default and as floats`, async () => {
    if (name !== "gateway" && !(await knowsBase64(url))) return;
    const input = ["one", "a longer text"];
    const byDefault = await client.embeddings.create({ model, input }); // asks for base64
    const asFloats = await client.embeddings.create({ model, input, encoding_format: "float" });
    for (const [n, { embedding }] of byDefault.data.entries()) {
      assert.equal(embedding.length, 128);
      embedding.forEach((x, i) => assert.ok(Math.abs(x - asFloats.data[n].embedding[i]) < 1e-6));
    }
  });

  test(`${name}: models are listed and retrieved`, async () => {
    const ids = [];
    for await (const { id } of client.models.list()) ids.push(id);
    assert.ok(ids.includes("tiny:latest"), ids.join());
    assert.ok(name === "ollama" || ids.includes("auto"), ids.join());
    assert.equal((await client.models.retrieve("tiny:latest")).id, "tiny:latest");
  });

  test(`${name}: an unknown model raises NotFoundError`, async () => {
    const missing = { model: "no-such-model", messages };
    await assert.rejects(client.chat.completions.create(missing), NotFoundError);
    await assert.rejects(client.chat.completions.create({ ...missing, stream: true }), NotFoundError);
    await assert.rejects(client.models.retrieve("no-such-model"), NotFoundError);
  });

  test(`${name}: an aborted stream stops Ollama`, async () => {
    const long = { ...ask, max_tokens: 100_000, stream: true };
    const stream = await client.chat.completions.create(long);
    const pieces = stream[Symbol.asyncIterator]();
    for (let n = 0; n < 5; n += 1) await pieces.next();
    assert.ok((await load()) > 0.5, "Ollama is not at work: this test shows nothing");
    stream.controller.abort();
    const end = Date.now() + 5000;
    while ((await load()) > 0.1) assert.ok(Date.now() < end, "Ollama works for a client that left");
  });
}
