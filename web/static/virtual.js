// A long list; only visible rows are in the document.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./lib.js";

const SPARE_ROWS = 8;

/** `items`, `rowHeight` in px, `row(item, index)`, `keyOf(item)`; `onEnd` when the last rows come into sight. With `steady`
 * the rows in sight stay where they are while others are added above them. */
export function VirtualList({ items, rowHeight, row, keyOf, onEnd, steady = false, label, role = "list", class: classes = "" }) {
  const pane = useRef(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const anchor = useRef(null);
  const look = () => {
    if (!pane.current) return; // the observer may fire once more after the end
    const { scrollTop, clientHeight } = pane.current;
    setView((old) => (old.top === scrollTop && old.height === clientHeight ? old : { top: scrollTop, height: clientHeight }));
  };
  useEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(pane.current);
    look();
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (steady && pane.current.scrollTop > rowHeight && anchor.current !== null) {
      const at = items.findIndex((item) => keyOf(item) === anchor.current);
      if (at > 0) pane.current.scrollTop += at * rowHeight;
    }
    anchor.current = items.length ? keyOf(items[0]) : null;
  }, [items]);
  const from = Math.max(0, Math.floor(view.top / rowHeight) - SPARE_ROWS);
  const to = Math.min(items.length, Math.ceil((view.top + view.height) / rowHeight) + SPARE_ROWS);
  useEffect(() => {
    if (onEnd && items.length && to >= items.length) onEnd();
  }, [to, items.length]);
  return html`<div class=${`virtual ${classes}`} ref=${pane} onScroll=${look} tabindex="0" role="region" aria-label=${label}
    style=${{ "--all": `${items.length * rowHeight}px` }}>
    <div class="virtual-all" role=${role} style=${{ height: "var(--all)" }}>
      ${items.slice(from, to).map((item, i) => html`<div class="virtual-row" key=${keyOf(item)} role="listitem"
        aria-setsize=${items.length} aria-posinset=${from + i + 1}
        style=${{ transform: `translateY(${(from + i) * rowHeight}px)`, height: `${rowHeight}px` }}>${row(item, from + i)}</div>`)}
    </div>
  </div>`;
}
