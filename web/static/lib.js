// Preact, htm and the helpers that every view needs.
import { Component, Fragment, h, render } from "./vendor/preact.js";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/preact-hooks.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export { Component, Fragment, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState };

/** A component that is rendered again only when a property changes. */
export function memo(view) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return !sameProps(this.props, next);
    }

    render(props) {
      return h(view, props);
    }
  };
}

function sameProps(a, b) {
  const keys = Object.keys(b);
  return keys.length === Object.keys(a).length && keys.every((key) => a[key] === b[key]);
}

/** Returns the value `wait_ms` after its last change. */
export function useSettled(value, wait_ms = 250) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), wait_ms);
    return () => clearTimeout(timer);
  }, [value, wait_ms]);
  return settled;
}

/** Loads with `load(signal)` when `keys` change: {data, error, loading, reload}. Old data is shown meanwhile. */
export function useLoaded(load, keys) {
  const [answer, setAnswer] = useState({ data: null, error: null, loading: true });
  const [turn, setTurn] = useState(0);
  const key = keys.join("\u0000");
  const shown = useRef(key);
  useEffect(() => {
    const control = new AbortController();
    const fresh = shown.current !== key;
    shown.current = key;
    setAnswer((old) => ({ data: fresh ? null : old.data, error: null, loading: true }));
    load(control.signal).then(
      (data) => control.signal.aborted || setAnswer({ data, error: null, loading: false }),
      (error) => control.signal.aborted || setAnswer((old) => ({ data: old.data, error, loading: false })),
    );
    return () => control.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  return { ...answer, reload };
}

/** Returns a function that calls `act` at most once in `wait_ms`, and after the last call. */
export function paced(act, wait_ms) {
  let timer = 0;
  let last = 0;
  const run = () => {
    timer = 0;
    last = performance.now();
    act();
  };
  const call = () => {
    if (!timer) timer = setTimeout(run, Math.max(0, last + wait_ms - performance.now()));
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}
