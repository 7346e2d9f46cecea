// OpenAI's Node client over each upstream dialect: chat completions and responses.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { APIError, BadRequestError, InternalServerError, NotFoundError, RateLimitError } from "openai";
import {
  breaksOff, fits, picture, pictureHash, read, results, script, shape, targets, thoughts, tools,
} from "./dialects.mjs";

const messages = [{ role: "user", content: "go" }];
const functions = tools.map(({ name, schema }) => ({ type: "function", function: { name, parameters: schema } }));
const flat = tools.map(({ name, schema }) => ({ type: "function", name, parameters: schema, strict: false }));
const counts = [script.input, script.output, script.input + script.output];

for (const { name, upstream, url, key, model, direct } of targets("openai")) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 20_000 });
  const thought = thoughts(upstream);
  const ask = (scene, more = {}) => client.chat.completions.create({ model: model(scene), messages, ...more });
  const final = (scene, more = {}) =>
    client.chat.completions.stream({ model: model(scene), messages, ...more }).finalChatCompletion();
  const respond = (scene, more = {}) => client.responses.create({ model: model(scene), input: "go", ...more });
  const respondFinal = (scene, more = {}) =>
    client.responses.stream({ model: model(scene), input: "go", ...more }).finalResponse();

  async function* deltas(scene) {
    for await (const chunk of await ask(scene, { stream: true })) {
      assert.ok(scene === "says" || !chunk.choices[0]?.finish_reason);
      yield chunk.choices[0]?.delta.content ?? "";
    }
  }

  async function* responseDeltas(scene) {
    for await (const event of await respond(scene, { stream: true })) {
      assert.notEqual(event.type, "response.completed");
      if (event.type === "response.output_text.delta") yield event.delta;
    }
  }

  test(`openai over ${name}: a chat, whole and streamed`, async () => {
    for (const answer of [await ask("says"), await final("says", { stream_options: { include_usage: true } })]) {
      assert.equal(answer.choices[0].message.content, script.text);
      assert.equal(answer.choices[0].finish_reason, "stop");
      const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
      assert.deepEqual([prompt_tokens, completion_tokens, total_tokens], counts);
    }
    let text = "";
    for await (const piece of deltas("says")) text += piece;
    assert.equal(text, script.text);
  });

  test(`openai over ${name}: a loop of tools, whole and streamed`, async () => {
    for (const run of [ask, final]) {
      const { message, finish_reason } = (await run("calls", { tools: functions })).choices[0];
      assert.equal(finish_reason, "tool_calls");
      assert.equal(message.content, script.looking);
      const made = message.tool_calls.map((call) => call.function);
      assert.deepEqual(made.map(({ name, arguments: text }) => ({ name, arguments: text })), script.calls);
      const given = message.tool_calls.toReversed().map((call) => {
        return { role: "tool", tool_call_id: call.id, content: results[call.function.name] };
      });
      const more = { messages: [...messages, message, ...given], tools: functions };
      assert.equal((await run("calls", more)).choices[0].message.content, read);
    }
  });

  test(`openai over ${name}: a shape`, async () => {
    const response_format = { type: "json_schema", json_schema: { name: "shape", strict: true, schema: shape } };
    for (const run of [ask, final]) {
      const answer = await run("shapes", { response_format });
      assert.equal(JSON.stringify(JSON.parse(answer.choices[0].message.content)), fits);
    }
  });

  test(`openai over ${name}: an image`, async () => {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } };
    const content = [{ type: "text", text: "look" }, image];
    const answer = await ask("sees", { messages: [{ role: "user", content }] });
    assert.equal(answer.choices[0].message.content, pictureHash);
  });

  test(`openai over ${name}: a thought`, async () => {
    const answer = await ask("thinks", { reasoning_effort: "low" });
    assert.match(answer.choices[0].message.reasoning, thought);
    let streamed = "";
    for await (const chunk of await ask("thinks", { reasoning_effort: "low", stream: true })) {
      streamed += chunk.choices[0]?.delta.reasoning ?? "";
    }
    assert.match(streamed, thought);
  });

  test(`openai over ${name}: refusals`, async () => {
    for (const stream of [false, true]) {
      await assert.rejects(ask("refuses-400", { stream }), BadRequestError);
      await assert.rejects(ask("unheard-of", { stream }), NotFoundError);
      await assert.rejects(ask("refuses-529", { stream }), InternalServerError);
      await assert.rejects(ask("refuses-429", { stream }), (error) => {
        return error instanceof RateLimitError && error.headers.get("retry-after") === "17";
      });
    }
  });

  test(`openai over ${name}: an error inside a stream is thrown`, async () => {
    const check = (error) => assert.ok(error instanceof APIError && error.message.includes(script.fell), error);
    await breaksOff(deltas("breaks"), check);
    await assert.rejects(final("breaks"), APIError);
    if (!direct) await breaksOff(deltas("cuts"), (error) => assert.ok(error instanceof APIError, error));
  });

  test(`openai over ${name}: a response, whole and streamed`, async () => {
    for (const answer of [await respond("says"), await respondFinal("says")]) {
      assert.equal(answer.output_text, script.text);
      assert.equal(answer.status, "completed");
      const { input_tokens, output_tokens, total_tokens } = answer.usage;
      assert.deepEqual([input_tokens, output_tokens, total_tokens], counts);
    }
  });

  test(`openai over ${name}: a loop of tools by responses, whole and streamed`, async () => {
    for (const run of [respond, respondFinal]) {
      const answer = await run("calls", { tools: flat });
      const made = answer.output.filter((item) => item.type === "function_call");
      assert.deepEqual(made.map(({ name, arguments: text }) => ({ name, arguments: text })), script.calls);
      const given = made.toReversed().map((call) => {
        return { type: "function_call_output", call_id: call.call_id, output: results[call.name] };
      });
      const input = [{ role: "user", content: "go" }, ...answer.output, ...given];
      assert.equal((await run("calls", { input, tools: flat })).output_text, read);
    }
  });

  test(`openai over ${name}: a shape and a thought by responses`, async () => {
    const text = { format: { type: "json_schema", name: "shape", strict: true, schema: shape } };
    assert.equal(JSON.stringify(JSON.parse((await respond("shapes", { text })).output_text)), fits);
    const answer = await respond("thinks", { reasoning: { effort: "low", summary: "auto" } });
    assert.match(answer.output[0].summary[0].text, thought);
  });

  test(`openai over ${name}: an error inside a stream of events is thrown`, async () => {
    await breaksOff(responseDeltas("breaks"), (error) => assert.ok(error instanceof APIError, error));
    await assert.rejects(respondFinal("breaks"), APIError);
    await assert.rejects(respond("refuses-429"), RateLimitError);
    await assert.rejects(respond("unheard-of", { stream: true }), NotFoundError);
    if (!direct) await breaksOff(responseDeltas("cuts"), (error) => assert.ok(error instanceof APIError, error));
  });

  if (upstream === "anthropic") continue;

  test(`openai over ${name}: embeddings`, async () => {
    const answer = await client.embeddings.create({ model: model("embeds"), input: ["one", "two"] });
    assert.equal(answer.data.length, 2);
    answer.data[0].embedding.forEach((x, n) => assert.ok(Math.abs(x - script.vector[n]) < 1e-6));
    assert.equal(answer.usage.prompt_tokens, script.input);
  });
}
