// The server's JSON API.

/** An answer that is not the one hoped for. */
export class ApiError extends Error {
  constructor(message, status, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

let csrfToken = "";

/** What the page is told about its server; the token in it goes with every write from here on. */
export async function getConfig() {
  const config = await get("/api/config");
  csrfToken = config.csrf_token;
  return config;
}

/** GET; `query` keeps only what is set. */
export function get(path, query = {}, signal) {
  const set = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(set).toString();
  return ask(search ? `${path}?${search}` : path, { signal });
}

/** POST with a JSON body; once more where the token was that of a server that has been started anew since. */
export async function post(path, body = {}) {
  const sent = csrfToken;
  try {
    return await write(path, body);
  } catch (error) {
    if (error.status !== 403) throw error;
    await getConfig();
    if (csrfToken === sent) throw error;
    return write(path, body);
  }
}

/** A path of the API; every part is escaped. */
export const api = (...parts) => `/api/${parts.map((part) => encodeURIComponent(part)).join("/")}`;

function write(path, body) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrfToken },
    body: JSON.stringify(body),
  });
}

/** `path` as the API's own documents have it; the page may stand below a prefix, in another application or behind a proxy. */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(`.${path}`, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer", 0);
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(body?.error ?? `The server answered ${response.status}`, response.status, body?.hint);
  return body;
}
