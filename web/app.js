/* Navigation, the expression box with completion, and query results as table and graph. */
'use strict';

const VIEWS = [
    ['query', 'Query', viewQuery],
    ['alerts', 'Alerts', viewAlerts],
    ['rules', 'Rules', viewRules],
    ['targets', 'Targets', viewTargets],
    ['service-discovery', 'Discovery', viewDiscovery],
    ['status', 'Status', viewStatus],
    ['tsdb-status', 'Storage', viewStorage],
    ['config', 'Configuration', viewConfig],
    ['flags', 'Flags', viewFlags],
];

const FUNCTIONS = ('abs absent absent_over_time acos acosh asin asinh atan atanh avg avg_over_time bottomk ceil changes clamp clamp_max clamp_min cos cosh count ' +
    'count_over_time count_values day_of_month day_of_week day_of_year days_in_month deg delta deriv double_exponential_smoothing exp first_over_time floor group ' +
    'histogram_avg histogram_count histogram_fraction histogram_quantile histogram_quantiles histogram_stddev histogram_stdvar histogram_sum hour idelta increase info irate ' +
    'label_join label_replace last_over_time limit_ratio limitk ln log10 log2 mad_over_time max max_over_time min min_over_time minute month pi predict_linear present_over_time ' +
    'quantile quantile_over_time rad rate resets round scalar sgn sin sinh sort sort_by_label sort_by_label_desc sort_desc sqrt stddev stddev_over_time stdvar stdvar_over_time ' +
    'sum sum_over_time tan tanh time timestamp topk ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time vector year').split(' ');

const main = document.getElementById('main'), nav = document.getElementById('nav');
let metricNames = null, graph = null;

/* ---- theme */

function applyTheme() {
    const stored = localStorage.getItem('narthex.theme');
    const dark = stored ? stored === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    document.documentElement.classList.toggle('dark', dark);
    if (graph) graph.repaint();
}
document.getElementById('theme').addEventListener('click', () => {
    localStorage.setItem('narthex.theme', document.documentElement.classList.contains('dark') ? 'light' : 'dark');
    applyTheme();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', applyTheme);
applyTheme();

/* ---- navigation */

function currentView() {
    const base = new URL(document.baseURI).pathname;
    const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : '';
    return VIEWS.find(([name]) => name === path) || VIEWS[0];
}

async function show() {
    const view = currentView();
    [...nav.children].forEach((a) => a.classList.toggle('on', a.dataset.view === view[0]));
    document.title = view[1] + ' · Narthex';
    main.replaceChildren();
    graph = null;
    const box = el('div', {});
    main.append(box);
    try {
        await view[2](box);
    } catch (e) {
        box.append(el('div', { class: 'note bad' }, e.message));
    }
}

for (const [name, title] of VIEWS) nav.append(el('a', { href: name, 'data-view': name }, title));
document.addEventListener('click', (e) => {
    const a = e.target.closest('a[data-view]');
    if (!a || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    history.pushState(null, '', a.href);
    show();
});
addEventListener('popstate', show);

/* ---- completion */

async function names() {
    if (metricNames === null) {
        metricNames = [];
        try {
            metricNames = (await api('label/__name__/values')).data;
        } catch (e) {
            metricNames = null;
            return [];
        }
    }
    return metricNames;
}

/* Words that start with the typed text first, then those that hold it. */
function candidates(word, metrics) {
    const low = word.toLowerCase(), found = [];
    const add = (text, kind) => {
        const at = text.toLowerCase().indexOf(low);
        if (at >= 0 && text !== word) found.push({ text, kind, at, rank: (at === 0 ? 0 : 1000) + text.length });
    };
    FUNCTIONS.forEach((f) => add(f, 'function'));
    metrics.forEach((m) => add(m, 'metric'));
    return found.sort((a, b) => a.rank - b.rank).slice(0, 40);
}

/* Metric names are wanted outside of braces, brackets and strings. */
function wordAt(text, caret) {
    let braces = 0, quote = '';
    for (let i = 0; i < caret; i++) {
        const c = text[i];
        if (quote) {
            if (c === '\\') i++;
            else if (c === quote) quote = '';
        } else if (c === '"' || c === "'" || c === '`') quote = c;
        else if (c === '{' || c === '[') braces++;
        else if (c === '}' || c === ']') braces--;
    }
    if (quote || braces > 0) return null;
    let from = caret;
    while (from > 0 && /[a-zA-Z0-9_:]/.test(text[from - 1])) from--;
    return { from, word: text.slice(from, caret) };
}

function editor(value, run) {
    const input = el('textarea', { rows: 1, spellcheck: 'false', autocomplete: 'off', placeholder: 'Expression, for example rate(prometheus_http_requests_total[1m])', 'aria-label': 'Expression' });
    const list = el('ul', { class: 'complete', role: 'listbox', hidden: true }), box = el('div', { class: 'editor grow' }, input, list);
    let items = [], chosen = 0;
    input.value = value;

    const fit = () => {
        input.style.height = 'auto';
        input.style.height = Math.min(320, input.scrollHeight + 2) + 'px';
    };
    const close = () => {
        list.hidden = true;
        items = [];
    };
    const take = (item) => {
        const at = wordAt(input.value, input.selectionStart);
        const open = item.kind === 'function' ? '(' : '';
        input.setRangeText(item.text + open, at.from, input.selectionStart, 'end');
        close();
        fit();
        input.focus();
    };
    const draw = () => {
        list.replaceChildren(...items.map((item, i) => {
            const word = wordAt(input.value, input.selectionStart).word.length;
            return el('li', { role: 'option', class: (i === chosen ? 'on' : '') + ' mono', onmousedown: (e) => { e.preventDefault(); take(item); } },
                el('span', {}, item.text.slice(0, item.at), el('mark', {}, item.text.slice(item.at, item.at + word)), item.text.slice(item.at + word)), el('i', {}, item.kind));
        }));
        list.hidden = items.length === 0;
        const on = list.children[chosen];
        if (on) on.scrollIntoView({ block: 'nearest' });
    };
    input.addEventListener('input', async () => {
        fit();
        const at = wordAt(input.value, input.selectionStart);
        if (!at || at.word.length < 1) return close();
        const metrics = await names(), now = wordAt(input.value, input.selectionStart);
        if (!now || now.word !== at.word) return;
        items = candidates(at.word, metrics);
        chosen = 0;
        draw();
    });
    input.addEventListener('keydown', (e) => {
        if (e.key === 'Enter' && !e.shiftKey && (list.hidden || !e.target.dataset.moved)) {
            e.preventDefault();
            close();
            run();
        } else if (!list.hidden && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) {
            e.preventDefault();
            input.dataset.moved = '1';
            chosen = (chosen + (e.key === 'ArrowDown' ? 1 : items.length - 1)) % items.length;
            draw();
            return;
        } else if (!list.hidden && (e.key === 'Tab' || e.key === 'Enter')) {
            e.preventDefault();
            take(items[chosen]);
        } else if (e.key === 'Escape') close();
        delete input.dataset.moved;
    });
    input.addEventListener('blur', close);
    requestAnimationFrame(fit);
    return { box, text: () => input.value.trim(), focus: () => input.focus() };
}

/* ---- results */

function seriesName(metric) {
    const rest = Object.entries(metric).filter(([k]) => k !== '__name__').map(([k, v]) => k + '="' + v + '"');
    return (metric.__name__ || '') + (rest.length || !metric.__name__ ? '{' + rest.join(', ') + '}' : '');
}

function metricCell(metric) {
    const parts = [];
    if (metric.__name__) parts.push(el('span', { class: 'name' }, metric.__name__));
    const rest = Object.entries(metric).filter(([k]) => k !== '__name__');
    if (rest.length || !metric.__name__) {
        parts.push('{');
        rest.forEach(([k, v], i) => parts.push(i ? ', ' : '', el('span', { class: 'key' }, k), '="' + v + '"'));
        parts.push('}');
    }
    return el('td', { class: 'mono metric' }, parts);
}

function histogramText(h) {
    return 'count ' + h.count + ', sum ' + h.sum + (h.buckets || []).map(([b, lo, hi, n]) => '\n' + ('([([')[b] + lo + ', ' + hi + ('])])'[b] || ')') + '  ' + n).join('');
}

const ROWS_MAX = 2000;

function resultTable(data) {
    if (data.resultType === 'scalar' || data.resultType === 'string')
        return table([data.resultType, 'Value'], [el('tr', {}, el('td', { class: 'soft' }, fullTime(data.result[0])), el('td', { class: 'num mono' }, data.result[1]))]);
    if (data.result.length === 0) return empty('Nothing matches: the result is empty.');
    const rows = data.result.slice(0, ROWS_MAX).map((s) => {
        let value;
        if (s.value) value = s.value[1];
        else if (s.histogram) value = histogramText(s.histogram[1]);
        else value = (s.values || []).map(([t, v]) => v + ' @' + fullTime(t)).concat((s.histograms || []).map(([t, h]) => histogramText(h) + ' @' + fullTime(t))).join('\n');
        return el('tr', {}, metricCell(s.metric), el('td', { class: 'num mono lines' }, value));
    });
    return el('div', {}, table(['Series', 'Value'], rows),
        data.result.length > ROWS_MAX ? el('div', { class: 'note' }, 'The first ' + ROWS_MAX + ' of ' + data.result.length + ' series are shown.') : null);
}

const SERIES_MAX = 500;

function resultGraph(box, data, range) {
    const list = data.result.filter((s) => s.values);
    if (list.length === 0) {
        box.replaceChildren(empty(data.result.length ? 'These are histograms: apply histogram_quantile() to draw them.' : 'Nothing matches: the result is empty.'));
        return;
    }
    const series = list.slice(0, SERIES_MAX).map((s) => ({ name: seriesName(s.metric), points: s.values.map(([t, v]) => [t, v === '+Inf' ? Infinity : v === '-Inf' ? -Infinity : parseFloat(v)]) }));
    graph = drawGraph(box, { series, ...range });
    if (list.length > SERIES_MAX) box.append(el('div', { class: 'note' }, 'The first ' + SERIES_MAX + ' of ' + list.length + ' series are drawn.'));
}

/* ---- the query view */

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };

function parseDuration(text) {
    let sum = 0, rest = text.trim();
    while (rest) {
        const m = /^(\d+(?:\.\d+)?)(ms|[smhdwy])/.exec(rest);
        if (!m) return null;
        sum += parseFloat(m[1]) * UNITS[m[2]];
        rest = rest.slice(m[0].length);
    }
    return sum || null;
}

const RANGES = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '1d', '2d', '1w', '2w', '30d', '90d', '1y'];

/* Links of Prometheus's UI and of alerts: g0.expr, g0.tab (0 graph, 1 table), g0.range_input, g0.end_input. */
function stateFromUrl() {
    const p = new URLSearchParams(location.search);
    const tab = p.get('g0.tab');
    return { expr: p.get('g0.expr') || '', graph: tab === '0' || tab === 'graph', range: p.get('g0.range_input') || '1h', end: p.get('g0.end_input') || p.get('g0.moment_input') || '' };
}

function localInput(text) {
    const t = Date.parse(text.replace(' ', 'T') + (/[zZ]|[+-]\d\d:\d\d$/.test(text) ? '' : 'Z'));
    if (!isFinite(t)) return '';
    const d = new Date(t - new Date(t).getTimezoneOffset() * 60000);
    return d.toISOString().slice(0, 19);
}

async function viewQuery(box) {
    const state = stateFromUrl();
    const notes = el('div', {}), result = el('div', { class: 'gap' }), stats = el('span', { class: 'soft right' });
    let running = null;
    const edit = editor(state.expr, () => run());
    const end = el('input', { type: 'datetime-local', step: '1', title: 'End of the graph, or time of the table; empty: now', 'aria-label': 'Time' });
    end.value = state.end ? localInput(state.end) : '';
    const range = el('select', { 'aria-label': 'Range' }, [...new Set([...RANGES, state.range])].map((r) => el('option', { value: r, selected: r === state.range }, r)));
    const tabs = ['Table', 'Graph'].map((name, i) => el('button', { type: 'button', class: 'quiet', onclick: () => { state.graph = i === 1; run(); } }, name));
    const ranges = el('span', { class: 'row' }, range);

    function controls() {
        tabs[0].classList.toggle('on', !state.graph);
        tabs[1].classList.toggle('on', state.graph);
        ranges.hidden = !state.graph;
    }
    function remember() {
        const p = new URLSearchParams({ 'g0.expr': edit.text(), 'g0.tab': state.graph ? '0' : '1' });
        if (state.graph) p.set('g0.range_input', range.value);
        if (end.value) p.set('g0.end_input', new Date(end.value).toISOString().slice(0, 19).replace('T', ' '));
        history.replaceState(null, '', 'query?' + p);
    }
    async function run() {
        controls();
        if (edit.text() === '') return;
        remember();
        if (running) running.abort();
        const mine = (running = new AbortController());
        const began = performance.now(), at = end.value ? new Date(end.value).getTime() / 1000 : Date.now() / 1000;
        stats.textContent = 'running…';
        try {
            const span = parseDuration(range.value), step = Math.max(1, Math.ceil(span / 250));
            const window_ = { start: Math.floor((at - span) / step) * step, end: at, step };
            const answer = state.graph
                ? await api('query_range', { query: edit.text(), ...window_ }, mine.signal)
                : await api('query', { query: edit.text(), time: at }, mine.signal);
            if (mine !== running) return;
            const n = Array.isArray(answer.data.result) && answer.data.resultType !== 'scalar' && answer.data.resultType !== 'string' ? answer.data.result.length : 1;
            stats.textContent = n + (n === 1 ? ' series, ' : ' series, ') + Math.round(performance.now() - began) + ' ms';
            notes.replaceChildren(...(answer.warnings || []).map((w) => el('div', { class: 'note' }, w)), ...(answer.infos || []).map((w) => el('div', { class: 'note info' }, w)));
            graph = null;
            if (state.graph) {
                const panel = el('div', { class: 'panel pad' });
                result.replaceChildren(panel);
                resultGraph(panel, answer.data, window_);
            } else result.replaceChildren(resultTable(answer.data));
        } catch (e) {
            if (mine !== running || e.name === 'AbortError') return;
            stats.textContent = '';
            result.replaceChildren();
            notes.replaceChildren(el('div', { class: 'note bad' }, e.message));
        }
    }
    range.addEventListener('change', run);
    end.addEventListener('change', run);
    box.append(el('div', { class: 'panel pad' },
        el('div', { class: 'row' }, edit.box, el('button', { type: 'button', onclick: run }, 'Execute')),
        el('div', { class: 'row gap' }, tabs, ranges, end, el('button', { type: 'button', class: 'quiet', onclick: () => { end.value = ''; run(); } }, 'Now'), stats),
        notes), result);
    controls();
    if (state.expr) run();
    else edit.focus();
}

show();
