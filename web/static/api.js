// The server's JSON API.

/** An error answer of the server. */
export class ApiError extends Error {
  constructor(message, status, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

let csrfToken = "";

/** Loads the configuration of the server; its token is sent with every later write. */
export async function getConfig() {
  const config = await get("/api/config");
  csrfToken = config.csrf_token;
  return config;
}

/** Sends a GET; empty values of `query` are left out. */
export function get(path, query = {}, signal) {
  const set = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = new URLSearchParams(set).toString();
  return ask(search ? `${path}?${search}` : path, { signal });
}

/** Sends a POST with a JSON body; repeats it once with a new token if the server was restarted. */
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

/** Returns a path of the API; every part is escaped. */
export const api = (...parts) => `/api/${parts.map((part) => encodeURIComponent(part)).join("/")}`;

function write(path, body) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrfToken },
    body: JSON.stringify(body),
  });
}

/** Resolves an API path against the page's address, which may be below a prefix in another application or proxy. */
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
