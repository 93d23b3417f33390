// The route of the page: the part of its address after the #, so that views can be linked and reloaded.
import { useEffect, useState } from "./lib.js";

/** "#/machines/a%20b?tab=log" -> {parts: ["machines", "a b"], query: {tab: "log"}} */
export function current() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { parts, query: Object.fromEntries(new URLSearchParams(search ?? "")) };
}

export function useRoute() {
  const [route, setRoute] = useState(current);
  useEffect(() => {
    const follow = () => setRoute(current());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return route;
}

/** href("machines", name) */
export function href(...parts) {
  return `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

export function go(address) {
  location.hash = address;
}

/** Changes the query of the current address without a new history entry. */
export function setQuery(changes) {
  const { parts, query } = current();
  const next = Object.entries({ ...query, ...changes }).filter(([, value]) => value);
  const search = new URLSearchParams(next).toString();
  history.replaceState(null, "", `${href(...parts)}${search ? `?${search}` : ""}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
