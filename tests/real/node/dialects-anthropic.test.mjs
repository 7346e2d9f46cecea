// Anthropic's TypeScript client over each upstream dialect.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic, { APIError, BadRequestError, NotFoundError, RateLimitError } from "@anthropic-ai/sdk";
import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";
import { breaksOff, fits, picture, pictureHash, read, results, script, shape, targets, tools } from "./dialects.mjs";

const messages = [{ role: "user", content: "go" }];
const functions = tools.map(({ name, schema }) => ({ name, input_schema: schema }));
const think = { thinking: { type: "enabled", budget_tokens: 1024 } };
const textOf = (message) => message.content.filter((b) => b.type === "text").map((b) => b.text).join("");

for (const { name, url, key, model, direct } of targets("anthropic")) {
  const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 20_000 });
  const body = (scene, more) => ({ model: model(scene), messages, max_tokens: 2000, ...more });
  const ask = (scene, more = {}) => client.messages.create(body(scene, more));
  const final = (scene, more = {}) => client.messages.stream(body(scene, more)).finalMessage();

  async function* deltas(scene) {
    for await (const event of await ask(scene, { stream: true })) {
      assert.notEqual(event.type, "message_stop");
      if (event.type === "content_block_delta") yield event.delta.text;
    }
  }

  test(`anthropic over ${name}: a message, whole and streamed`, async () => {
    for (const run of [ask, final]) {
      const message = await run("says");
      assert.deepEqual(message.content.map((block) => block.type), ["text"]);
      assert.equal(textOf(message), script.text);
      assert.equal(message.stop_reason, "end_turn");
      const { input_tokens, cache_read_input_tokens, output_tokens } = message.usage;
      assert.deepEqual([input_tokens + (cache_read_input_tokens ?? 0), output_tokens], [script.input, script.output]);
    }
  });

  test(`anthropic over ${name}: a loop of tools, whole and streamed`, async () => {
    for (const run of [ask, final]) {
      // Small numbers: this client reads and writes them as doubles.
      const message = await run("calls-small", { tools: functions });
      assert.equal(message.stop_reason, "tool_use");
      const made = message.content.filter((block) => block.type === "tool_use");
      assert.deepEqual(made.map((call) => call.name), script.smallCalls.map((call) => call.name));
      for (const [n, call] of made.entries()) {
        assert.equal(JSON.stringify(call.input), script.smallCalls[n].arguments);
      }
      const given = made.toReversed().map((call) => {
        return { type: "tool_result", tool_use_id: call.id, content: results[call.name] };
      });
      const turns = [
        ...messages,
        { role: "assistant", content: message.content },
        { role: "user", content: [...given, { type: "text", text: "and now?" }] },
      ];
      assert.equal(textOf(await run("calls-small", { messages: turns, tools: functions })), read);
    }
  });

  test(`anthropic over ${name}: a shape`, async () => {
    const output_config = { format: jsonSchemaOutputFormat(shape) };
    const message = await client.messages.parse(body("shapes", { output_config }));
    assert.equal(JSON.stringify(message.parsed_output), fits);
    const streamed = await final("shapes", { output_config });
    assert.equal(JSON.stringify(streamed.parsed_output), fits);
  });

  test(`anthropic over ${name}: an image`, async () => {
    const source = { type: "base64", media_type: "image/png", data: picture };
    const content = [{ type: "image", source }, { type: "text", text: "look" }];
    assert.equal(textOf(await ask("sees", { messages: [{ role: "user", content }] })), pictureHash);
  });

  test(`anthropic over ${name}: a thought`, async () => {
    for (const run of [ask, final]) {
      const message = await run("thinks", think);
      assert.deepEqual(message.content.map((block) => block.type), ["thinking", "text"]);
      assert.match(message.content[0].thinking, /^Thinking \(/);
      assert.equal(textOf(message), "Therefore.");
    }
  });

  test(`anthropic over ${name}: tokens are counted and models listed`, async () => {
    assert.ok((await client.messages.countTokens({ model: model("says"), messages })).input_tokens > 0);
    const ids = [];
    for await (const { id, type } of client.models.list()) {
      assert.equal(type, "model");
      ids.push(id);
    }
    assert.ok(ids.some((id) => id.replace(":latest", "").endsWith("says")), ids.join());
  });

  test(`anthropic over ${name}: refusals`, async () => {
    for (const stream of [false, true]) {
      await assert.rejects(ask("refuses-400", { stream }), BadRequestError);
      await assert.rejects(ask("unheard-of", { stream }), NotFoundError);
      await assert.rejects(ask("refuses-429", { stream }), (error) => {
        return error instanceof RateLimitError && error.headers.get("retry-after") === "17";
      });
      await assert.rejects(ask("refuses-529", { stream }), (error) => {
        return error instanceof APIError && error.type === "overloaded_error";
      });
    }
  });

  test(`anthropic over ${name}: an error inside a stream is thrown`, async () => {
    const check = (error) => assert.ok(error instanceof APIError && error.message.includes(script.fell), error);
    await breaksOff(deltas("breaks"), check);
    await assert.rejects(final("breaks"), APIError);
    if (!direct) await breaksOff(deltas("cuts"), (error) => assert.ok(error instanceof APIError, error));
  });
}
