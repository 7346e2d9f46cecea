// Ollama's JavaScript client over each upstream dialect.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Ollama } from "ollama";
import {
  breaksOff, fits, picture, pictureHash, read, results, script, shape, targets, thoughts, tools,
} from "./dialects.mjs";

const messages = [{ role: "user", content: "go" }];
const functions = tools.map(({ name, schema }) => ({ type: "function", function: { name, parameters: schema } }));

for (const { name, upstream, url, model, direct } of targets("ollama")) {
  const client = new Ollama({ host: url });
  const thought = thoughts(upstream);
  const ask = (scene, more = {}) => client.chat({ model: model(scene), messages, ...more });

  /** All parts of a streamed answer, added up. */
  async function streamed(scene, more = {}) {
    const whole = { message: { role: "assistant", content: "", thinking: "" } };
    for await (const part of await ask(scene, { stream: true, ...more })) {
      whole.message.content += part.message.content;
      whole.message.thinking += part.message.thinking ?? "";
      if (part.message.tool_calls) (whole.message.tool_calls ??= []).push(...part.message.tool_calls);
      if (part.done) Object.assign(whole, { ...part, message: whole.message });
    }
    return whole;
  }

  async function* pieces(scene) {
    for await (const part of await ask(scene, { stream: true })) {
      assert.ok(!part.done);
      yield part.message.content;
    }
  }

  test(`ollama over ${name}: a chat, whole and streamed`, async () => {
    for (const run of [ask, streamed]) {
      const answer = await run("says");
      assert.equal(answer.message.content, script.text);
      assert.deepEqual([answer.done, answer.done_reason], [true, "stop"]);
      assert.deepEqual([answer.prompt_eval_count, answer.eval_count], [script.input, script.output]);
    }
  });

  test(`ollama over ${name}: generate, whole and streamed`, async () => {
    const ask = { model: model("says"), prompt: "go" };
    assert.equal((await client.generate(ask)).response, script.text);
    let text = "";
    for await (const part of await client.generate({ ...ask, stream: true })) text += part.response;
    assert.equal(text, script.text);
  });

  test(`ollama over ${name}: a loop of tools, whole and streamed`, async () => {
    for (const run of [ask, streamed]) {
      // Small numbers: this client reads and writes them as doubles.
      const { message } = await run("calls-small", { tools: functions });
      assert.equal(message.content, script.looking);
      const made = message.tool_calls.map((call) => call.function);
      assert.deepEqual(made.map((call) => call.name), script.smallCalls.map((call) => call.name));
      for (const [n, call] of made.entries()) {
        assert.equal(JSON.stringify(call.arguments), script.smallCalls[n].arguments);
      }
      const given = message.tool_calls.toReversed().map((call) => {
        return { role: "tool", tool_name: call.function.name, content: results[call.function.name] };
      });
      const end = await run("calls-small", { messages: [...messages, message, ...given], tools: functions });
      assert.equal(end.message.content, read);
    }
  });

  test(`ollama over ${name}: a shape, an image and a thought`, async () => {
    const shaped = await ask("shapes", { format: shape });
    assert.equal(JSON.stringify(JSON.parse(shaped.message.content)), fits);
    const seen = await ask("sees", { messages: [{ role: "user", content: "look", images: [picture] }] });
    assert.equal(seen.message.content, pictureHash);
    for (const run of [ask, streamed]) {
      const { message } = await run("thinks", { think: "low" });
      assert.match(message.thinking, thought);
      assert.equal(message.content, "Therefore.");
    }
  });

  test(`ollama over ${name}: refusals`, async () => {
    const refused = (status, said) => (error) => error.status_code === status && error.message.includes(said);
    for (const stream of [false, true]) {
      await assert.rejects(ask("refuses-400", { stream }), refused(400, "that is no question"));
      await assert.rejects(ask("refuses-429", { stream }), refused(429, "slow down"));
      await assert.rejects(ask("unheard-of", { stream }), refused(404, "unheard-of"));
    }
  });

  test(`ollama over ${name}: an error inside a stream is thrown`, async () => {
    await breaksOff(pieces("breaks"), (error) => assert.ok(error.message.includes(script.fell), error));
    if (!direct) await breaksOff(pieces("cuts"), (error) => assert.ok(error instanceof Error, error));
  });

  if (upstream === "anthropic") continue;

  test(`ollama over ${name}: embeddings`, async () => {
    const answer = await client.embed({ model: model("embeds"), input: "one" });
    answer.embeddings[0].forEach((x, n) => assert.ok(Math.abs(x - script.vector[n]) < 1e-6));
  });
}
