/* The views that show one answer of the API each: targets, alerts, rules, status. Text enters the page as text only. */
'use strict';

/* el('td', { class: 'num' }, 'text', child, ...) */
function el(tag, attributes, ...children) {
    const e = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) {
        if (key.startsWith('on')) e.addEventListener(key.slice(2), value);
        else if (value === true) e.setAttribute(key, '');
        else if (value !== false && value !== null && value !== undefined) e.setAttribute(key, value);
    }
    e.append(...children.flat().filter((c) => c !== null && c !== undefined));
    return e;
}

async function api(path, params, signal) {
    const body = new URLSearchParams();
    for (const [key, value] of Object.entries(params || {})) if (value !== undefined && value !== '') body.append(key, value);
    const query = body.toString();
    /* Long expressions do not fit into a URL. */
    const post = query.length > 2000;
    const r = await fetch('api/v1/' + path + (query && !post ? '?' + query : ''), {
        signal,
        method: post ? 'POST' : 'GET',
        body: post ? body : undefined,
    });
    const text = await r.text();
    let answer;
    try {
        answer = JSON.parse(text);
    } catch (e) {
        throw new Error(text.trim() || 'HTTP ' + r.status);
    }
    if (answer.status !== 'success') throw new Error(answer.errorType + ': ' + answer.error);
    return answer;
}

function pill(text, kind) {
    return el('span', { class: 'pill ' + (kind || '') }, text);
}

function labelList(labels, without) {
    return Object.entries(labels)
        .filter(([name]) => !(without || []).includes(name))
        .map(([name, value]) => el('span', { class: 'label mono' }, el('b', {}, name), '="' + value + '"'));
}

/* Columns of numbers have their heads on the right, too. */
function table(head, rows) {
    const kind = (i) => (rows.length && rows[0].children[i] && rows[0].children[i].classList.contains('num') ? 'num' : null);
    return el('div', { class: 'panel tablewrap' },
        el('table', {}, el('thead', {}, el('tr', {}, head.map((h, i) => el('th', { class: kind(i) }, h)))), el('tbody', {}, rows)));
}

function ago(text) {
    const t = Date.parse(text);
    if (!isFinite(t) || text.startsWith('0001')) return 'never';
    const s = (Date.now() - t) / 1000;
    if (s < 60) return s.toFixed(1) + ' s ago';
    if (s < 3600) return Math.floor(s / 60) + ' min ago';
    if (s < 86400) return Math.floor(s / 3600) + ' h ago';
    return Math.floor(s / 86400) + ' d ago';
}

function seconds(v) {
    return v < 1 ? (v * 1000).toFixed(v < 0.01 ? 2 : 0) + ' ms' : v.toFixed(2) + ' s';
}

function duration(v) {
    const parts = [];
    for (const [unit, name] of [[86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']]) {
        const n = Math.floor(v / unit);
        if (n > 0) parts.push(n + name);
        v -= n * unit;
    }
    return parts.join(' ') || '0s';
}

function queryLink(expr) {
    return el('a', { class: 'mono', href: 'query?g0.expr=' + encodeURIComponent(expr) + '&g0.tab=1', 'data-view': 'query' }, expr);
}

function empty(text) {
    return el('p', { class: 'soft' }, text);
}

/* Only http and https become links: a target's URL is data. */
function outLink(url) {
    return /^https?:\/\//.test(url) ? el('a', { href: url, rel: 'noreferrer', class: 'mono' }, url) : el('span', { class: 'mono' }, url);
}

const HEALTH_KINDS = { up: 'good', ok: 'good', down: 'bad', err: 'bad', firing: 'bad', pending: 'warn', inactive: 'good' };

function filterBox(placeholder, apply) {
    return el('input', { type: 'search', class: 'grow', placeholder, 'aria-label': placeholder, oninput: (e) => apply(e.target.value.toLowerCase()) });
}

async function viewTargets(main) {
    const data = (await api('targets')).data, pools = new Map();
    for (const t of data.activeTargets) {
        if (!pools.has(t.scrapePool)) pools.set(t.scrapePool, []);
        pools.get(t.scrapePool).push(t);
    }
    const list = el('div', {});
    const show = (needle) => {
        const parts = [];
        for (const [pool, targets] of pools) {
            const rows = targets.filter((t) => JSON.stringify([t.scrapeUrl, t.labels, t.health, t.lastError]).toLowerCase().includes(needle)).map((t) => el('tr', {},
                el('td', {}, outLink(t.scrapeUrl), t.lastError ? el('div', { class: 'note bad' }, t.lastError) : null),
                el('td', {}, labelList(t.labels)),
                el('td', {}, ago(t.lastScrape)),
                el('td', { class: 'num' }, seconds(t.lastScrapeDuration)),
                el('td', {}, pill(t.health, HEALTH_KINDS[t.health]))));
            if (rows.length === 0) continue;
            const up = targets.filter((t) => t.health === 'up').length;
            parts.push(el('h2', {}, pool + ' ', pill(up + ' of ' + targets.length + ' up', up === targets.length ? 'good' : 'bad')),
                table(['Endpoint', 'Labels', 'Last scrape', 'Duration', 'State'], rows));
        }
        list.replaceChildren(...(parts.length ? parts : [empty('No targets.')]));
    };
    const dropped = Object.entries(data.droppedTargetCounts || {}).filter(([, n]) => n > 0);
    main.append(el('h1', {}, 'Targets'), el('div', { class: 'row' }, filterBox('Filter by address, label, state or error', show)), list,
        el('p', { class: 'soft' }, dropped.length ? 'Dropped by relabelling: ' + dropped.map(([pool, n]) => pool + ' ' + n).join(', ') : ''));
    show('');
}

function alertRows(rule) {
    return rule.alerts.map((a) => el('tr', {},
        el('td', {}, labelList(a.labels, ['alertname'])),
        el('td', {}, Object.entries(a.annotations).map(([k, v]) => el('div', {}, el('span', { class: 'soft' }, k + ' '), v))),
        el('td', {}, pill(a.state, HEALTH_KINDS[a.state])),
        el('td', {}, ago(a.activeAt)),
        el('td', { class: 'num' }, String(parseFloat(a.value)))));
}

async function viewAlerts(main) {
    const rules = (await api('rules', { type: 'alert' })).data.groups.flatMap((g) => g.rules.map((r) => ({ ...r, group: g.name })));
    const order = { firing: 0, pending: 1, unknown: 2, inactive: 3 };
    rules.sort((a, b) => order[a.state] - order[b.state]);
    const count = (s) => rules.filter((r) => r.state === s).length;
    const list = el('div', {});
    const show = (needle) => list.replaceChildren(...rules.filter((r) => JSON.stringify(r).toLowerCase().includes(needle)).map((r) =>
        el('details', { class: 'panel pad gap', open: r.state === 'firing' },
            el('summary', {}, el('b', {}, r.name), ' ', pill(r.state + (r.alerts.length ? ' ' + r.alerts.length : ''), HEALTH_KINDS[r.state]),
                el('span', { class: 'soft' }, '  ' + r.group + (r.duration ? ', for ' + duration(r.duration) : ''))),
            el('p', {}, queryLink(r.query)),
            r.alerts.length ? table(['Labels', 'Annotations', 'State', 'Active since', 'Value'], alertRows(r)) : empty('No active alerts.'))));
    main.append(el('h1', {}, 'Alerts'), el('div', { class: 'row' }, pill(count('firing') + ' firing', 'bad'), pill(count('pending') + ' pending', 'warn'),
        pill(count('inactive') + ' inactive', 'good'), filterBox('Filter by name or label', show)), list);
    show('');
    if (rules.length === 0) main.append(empty('No alerting rules.'));
}

async function viewRules(main) {
    const groups = (await api('rules')).data.groups;
    main.append(el('h1', {}, 'Rules'));
    if (groups.length === 0) main.append(empty('No rules are configured.'));
    for (const g of groups)
        main.append(el('h2', {}, g.name, el('span', { class: 'soft' }, '  ' + g.file + ', every ' + duration(g.interval) + ', took ' + seconds(g.evaluationTime) + ', ' + ago(g.lastEvaluation))),
            table(['Rule', 'Expression', 'Health', 'Took', 'Evaluated'], g.rules.map((r) => el('tr', {},
                el('td', {}, el('b', {}, r.name), el('div', { class: 'soft' }, r.type), labelList(r.labels)),
                el('td', {}, queryLink(r.query), r.lastError ? el('div', { class: 'note bad' }, r.lastError) : null),
                el('td', {}, pill(r.health, HEALTH_KINDS[r.health])),
                el('td', { class: 'num' }, seconds(r.evaluationTime)),
                el('td', {}, ago(r.lastEvaluation))))));
}

function pairs(title, object) {
    return el('div', {}, el('h2', {}, title), table(['Name', 'Value'], Object.entries(object).map(([k, v]) => el('tr', {}, el('td', {}, k), el('td', { class: 'mono' }, String(v))))));
}

async function viewStatus(main) {
    const [build, runtime, managers] = await Promise.all([api('status/buildinfo'), api('status/runtimeinfo'), api('alertmanagers')]);
    main.append(el('h1', {}, 'Status'), el('div', { class: 'cards' }, pairs('Build', build.data), pairs('Runtime', runtime.data)),
        el('h2', {}, 'Alertmanagers'),
        managers.data.activeAlertmanagers.length ? table(['URL'], managers.data.activeAlertmanagers.map((a) => el('tr', {}, el('td', {}, outLink(a.url))))) : empty('None.'));
}

function counts(title, list) {
    return el('div', {}, el('h2', {}, title), table(['Name', 'Count'], list.map((s) => el('tr', {}, el('td', { class: 'mono metric' }, s.name), el('td', { class: 'num' }, s.value.toLocaleString())))));
}

async function viewStorage(main) {
    const [tsdb, blocks] = await Promise.all([api('status/tsdb'), api('status/tsdb/blocks')]), d = tsdb.data, head = d.headStats;
    main.append(el('h1', {}, 'Storage'), el('div', { class: 'row' }, pill(head.numSeries.toLocaleString() + ' series'), pill(head.chunkCount.toLocaleString() + ' chunks'),
        pill(head.numLabelPairs.toLocaleString() + ' label pairs')),
        el('div', { class: 'cards' }, counts('Series by metric', d.seriesCountByMetricName), counts('Values by label', d.labelValueCountByLabelName),
            counts('Bytes by label', d.memoryInBytesByLabelName), counts('Series by label pair', d.seriesCountByLabelValuePair)),
        el('h2', {}, 'Blocks'),
        blocks.data.blocks.length ? table(['Block', 'From', 'To', 'Series', 'Samples', 'Level'], blocks.data.blocks.map((b) => el('tr', {}, el('td', { class: 'mono' }, b.ulid),
            el('td', {}, fullTime(b.minTime / 1000)), el('td', {}, fullTime(b.maxTime / 1000)), el('td', { class: 'num' }, (b.stats.numSeries || 0).toLocaleString()),
            el('td', { class: 'num' }, (b.stats.numSamples || 0).toLocaleString()), el('td', { class: 'num' }, String(b.compaction.level))))) : empty('No blocks yet: everything is in the head.'));
}

async function viewConfig(main) {
    const yaml = (await api('status/config')).data.yaml;
    main.append(el('h1', {}, 'Configuration'), el('div', { class: 'row' }, el('button', { class: 'quiet', type: 'button', onclick: () => navigator.clipboard.writeText(yaml) }, 'Copy')),
        el('pre', { class: 'panel gap' }, yaml));
}

async function viewFlags(main) {
    const flags = Object.entries((await api('status/flags')).data), body = el('div', {});
    const show = (needle) => body.replaceChildren(table(['Flag', 'Value'], flags.filter(([k, v]) => (k + v).toLowerCase().includes(needle))
        .map(([k, v]) => el('tr', {}, el('td', { class: 'mono' }, '--' + k), el('td', { class: 'mono' }, v)))));
    main.append(el('h1', {}, 'Command-line flags'), el('div', { class: 'row' }, filterBox('Filter', show)), el('div', { class: 'gap' }, body));
    show('');
}

async function viewDiscovery(main) {
    const data = (await api('targets')).data;
    const rows = data.activeTargets.map((t) => [t, true]).concat(data.droppedTargets.map((t) => [t, false]));
    main.append(el('h1', {}, 'Service discovery'), rows.length === 0 ? empty('Nothing was discovered.') : table(['Pool', 'Discovered labels', 'Target labels'], rows.map(([t, active]) => el('tr', {},
        el('td', {}, t.scrapePool), el('td', {}, labelList(t.discoveredLabels)), el('td', {}, active ? labelList(t.labels) : pill('dropped', 'warn'))))));
}
