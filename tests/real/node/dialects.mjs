// Where each SDK is pointed in the tests of translation; the Python side has the same in dialects.py.

const { SCRIPTED_URL, DIALECTS_URL } = process.env;
const KEYS = { openai: "sk-openaiish", anthropic: "sk-anthropicish", ollama: "" };

/** What the scripted upstream says. */
export const script = await (await fetch(`${SCRIPTED_URL}/script`)).json();

/** What a client dialect is tested against: every upstream dialect, or its own without a gateway. */
export function targets(client, upstreams = ["openai", "ollama", "anthropic"]) {
  if (DIALECTS_URL) {
    return upstreams.map((upstream) => {
      const model = (scene) => `${upstream}ish/${scene}`;
      return { name: upstream, upstream, url: DIALECTS_URL, key: "local", model, direct: false };
    });
  }
  const url = client === "anthropic" ? `${SCRIPTED_URL}/anthropic` : SCRIPTED_URL;
  const own = { name: "scripted", upstream: client, url, key: KEYS[client], direct: true };
  return [{ ...own, model: (scene) => scene }];
}

const parameters = {
  weather: {
    type: "object",
    properties: { city: { type: "string" }, unit: { type: "string" } },
    required: ["city"],
  },
  count: { type: "object", properties: { zeta: { type: "integer" } }, required: ["zeta"] },
};

/** The tools of the scene `calls`: name and schema. */
export const tools = Object.entries(parameters).map(([name, schema]) => ({ name, schema }));

/** What the tools gave. */
export const results = { weather: "21 °C", count: "eight" };

/** What the scene answers once it has the results. */
export const read = "weather: 21 °C; count: eight";

/** A schema with an order, and what the scene `shapes` makes of it. */
export const shape = {
  type: "object",
  properties: { zone: { type: "string" }, days: { type: "integer" } },
  required: ["zone", "days"],
  additionalProperties: false,
};
export const fits = '{"zone":"wörd","days":7}';

/** What the scene `thinks` thinks at low effort; Anthropic's older models take a budget for it. */
export const thoughts = (upstream) =>
  upstream === "anthropic" ? /^Thinking \((low|\d{4,} tokens)\)\.$/ : /^Thinking \(low\)\.$/;

/** A picture of one pixel, as base64, and its SHA-256. */
export const picture =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const pictureHash = Buffer.from(
  await crypto.subtle.digest("SHA-256", Buffer.from(picture, "base64")),
).toString("hex");

/** Whether a streamed answer that breaks begins and then throws what `check` accepts. */
export async function breaksOff(pieces, check) {
  let text = "";
  try {
    for await (const piece of pieces) text += piece;
  } catch (error) {
    if (!text.includes("It begins")) throw new Error("the error came before the answer", { cause: error });
    check(error);
    return;
  }
  throw new Error(`a broken answer looks whole: ${text}`);
}
