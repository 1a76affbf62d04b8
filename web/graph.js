/* A line chart on a canvas: axes, grid, lines with gaps, hover, legend. Knows nothing of queries.
 * drawGraph(box, { series: [{ name, points: [[seconds, number], ...] }], start, end, step }) */
'use strict';

const GRAPH_COLORS_LIGHT = ['#c24d17', '#1f6f8b', '#4d8b55', '#8a4fa8', '#b58900', '#2f5fb3', '#c2407a', '#5a7a1e', '#00857c', '#8b5e3c', '#6b6f7a', '#d07b00'];
const GRAPH_COLORS_DARK = ['#f08a4b', '#6cc0dd', '#86cf8f', '#c99ae4', '#e8c44d', '#8fb2f5', '#f28bb5', '#b3d16a', '#5fd3c7', '#d1a27a', '#b3b8c2', '#ffb454'];

function graphColor(i) {
    const dark = document.documentElement.classList.contains('dark'), list = dark ? GRAPH_COLORS_DARK : GRAPH_COLORS_LIGHT;
    /* Past the chosen colours the golden angle gives hues that stay apart. */
    return i < list.length ? list[i] : 'hsl(' + ((i * 137.508) % 360).toFixed(0) + ' ' + (dark ? '65% 68%' : '62% 40%') + ')';
}

/* 1234567 -> 1.235M; small and large numbers keep four digits. */
function shortNumber(v) {
    const a = Math.abs(v);
    if (!isFinite(v)) return String(v);
    if (a === 0) return '0';
    for (const [limit, suffix] of [[1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']])
        if (a >= limit && a < 1e18) return String(parseFloat((v / limit).toPrecision(4))) + suffix;
    if (a >= 1e18 || a < 1e-3) return v.toExponential(2).replace('e+', 'e');
    return String(parseFloat(v.toPrecision(4)));
}

function niceTicks(low, high, wanted) {
    const rough = (high - low) / wanted, power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
    return ticks;
}

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000];

function timeTicks(start, end, wanted) {
    const step = TIME_STEPS.find((s) => s >= (end - start) / wanted) || 31536000 * Math.ceil((end - start) / wanted / 31536000);
    const zone = new Date(start * 1000).getTimezoneOffset() * 60, ticks = [];
    for (let t = Math.ceil((start - zone) / step) * step + zone; t <= end; t += step) ticks.push(t);
    return { step, ticks };
}

function two(n) {
    return String(n).padStart(2, '0');
}

function timeLabel(t, step) {
    const d = new Date(t * 1000);
    const day = d.getFullYear() + '-' + two(d.getMonth() + 1) + '-' + two(d.getDate());
    if (step >= 86400) return day;
    const clock = two(d.getHours()) + ':' + two(d.getMinutes()) + (step < 60 ? ':' + two(d.getSeconds()) : '');
    return d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0 ? day.slice(5) : clock;
}

function fullTime(t) {
    const d = new Date(t * 1000);
    return d.getFullYear() + '-' + two(d.getMonth() + 1) + '-' + two(d.getDate()) + ' ' + two(d.getHours()) + ':' + two(d.getMinutes()) + ':' + two(d.getSeconds());
}

function drawGraph(box, data) {
    const canvas = document.createElement('canvas'), tip = document.createElement('div'), legend = document.createElement('div');
    const plot = document.createElement('div');
    plot.className = 'plot';
    tip.className = 'tip';
    tip.hidden = true;
    legend.className = 'legend';
    plot.append(canvas, tip);
    box.replaceChildren(plot, legend);

    const hidden = new Set();
    let view = null, hover = null;

    function bounds() {
        let low = Infinity, high = -Infinity;
        data.series.forEach((s, i) => {
            if (hidden.has(i)) return;
            for (const [, v] of s.points)
                if (isFinite(v)) {
                    low = Math.min(low, v);
                    high = Math.max(high, v);
                }
        });
        if (low > high) return [0, 1];
        if (low === high) {
            const pad = low === 0 ? 1 : Math.abs(low) * 0.1;
            return [low - pad, high + pad];
        }
        const pad = (high - low) * 0.06;
        return [low >= 0 && low - pad < 0 ? 0 : low - pad, high <= 0 && high + pad > 0 ? 0 : high + pad];
    }

    function paint() {
        const css = getComputedStyle(document.documentElement), ratio = window.devicePixelRatio || 1;
        const width = plot.clientWidth, height = plot.clientHeight;
        if (width === 0) return;
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
        const g = canvas.getContext('2d');
        g.scale(ratio, ratio);
        g.font = '12px system-ui, sans-serif';
        const [low, high] = bounds(), ys = niceTicks(low, high, Math.max(2, Math.round(height / 60)));
        const left = Math.max(40, ...ys.map((v) => g.measureText(shortNumber(v)).width + 16)), right = 14, top = 10, bottom = 28;
        const x = (t) => left + ((t - data.start) / Math.max(1e-9, data.end - data.start)) * (width - left - right);
        const y = (v) => height - bottom - ((v - low) / (high - low)) * (height - top - bottom);
        view = { x, y, left, right, top, bottom, width, height };

        g.strokeStyle = css.getPropertyValue('--line');
        g.fillStyle = css.getPropertyValue('--soft');
        g.lineWidth = 1;
        g.textBaseline = 'middle';
        g.textAlign = 'right';
        for (const v of ys) {
            g.beginPath();
            g.moveTo(left, Math.round(y(v)) + 0.5);
            g.lineTo(width - right, Math.round(y(v)) + 0.5);
            g.stroke();
            g.fillText(shortNumber(v), left - 8, y(v));
        }
        g.textBaseline = 'top';
        g.textAlign = 'center';
        const time = timeTicks(data.start, data.end, Math.max(2, Math.round(width / 110)));
        for (const t of time.ticks) {
            g.beginPath();
            g.moveTo(Math.round(x(t)) + 0.5, height - bottom);
            g.lineTo(Math.round(x(t)) + 0.5, height - bottom + 5);
            g.stroke();
            const text = timeLabel(t, time.step), half = g.measureText(text).width / 2;
            g.fillText(text, Math.min(width - half - 1, Math.max(half + 1, x(t))), height - bottom + 9);
        }
        data.series.forEach((s, i) => {
            if (hidden.has(i)) return;
            g.strokeStyle = graphColor(i);
            g.fillStyle = graphColor(i);
            g.lineWidth = hover && hover.series === i ? 3 : 1.6;
            g.globalAlpha = hover && hover.series !== i ? 0.45 : 1;
            line(g, s.points, x, y);
            g.globalAlpha = 1;
        });
        if (hover) cross(g, css);
    }

    /* A missing step breaks the line; a lone point is a dot. */
    function line(g, points, x, y) {
        let last = null, run = 0;
        g.beginPath();
        points.forEach(([t, v], k) => {
            if (!isFinite(v)) {
                last = null;
                return;
            }
            const joined = last !== null && t - last <= data.step * 1.5;
            const next = points[k + 1];
            if (joined) g.lineTo(x(t), y(v));
            else g.moveTo(x(t), y(v));
            run = joined ? run + 1 : 0;
            if (run === 0 && !(next && isFinite(next[1]) && next[0] - t <= data.step * 1.5)) {
                g.fillRect(x(t) - 1.5, y(v) - 1.5, 3, 3);
            }
            last = t;
        });
        g.stroke();
    }

    function cross(g, css) {
        g.strokeStyle = css.getPropertyValue('--soft');
        g.lineWidth = 1;
        g.setLineDash([3, 3]);
        g.beginPath();
        g.moveTo(Math.round(view.x(hover.t)) + 0.5, view.top);
        g.lineTo(Math.round(view.x(hover.t)) + 0.5, view.height - view.bottom);
        g.stroke();
        g.setLineDash([]);
        g.fillStyle = graphColor(hover.series);
        g.beginPath();
        g.arc(view.x(hover.t), view.y(hover.v), 4.5, 0, 7);
        g.fill();
    }

    /* The point nearest to the mouse, time counting most. */
    function nearest(mx, my) {
        let best = null, least = Infinity;
        data.series.forEach((s, i) => {
            if (hidden.has(i) || s.points.length === 0) return;
            const want = data.start + ((mx - view.left) / (view.width - view.left - view.right)) * (data.end - data.start);
            let a = 0, b = s.points.length - 1;
            while (a < b) {
                const m = (a + b) >> 1;
                if (s.points[m][0] < want) a = m + 1;
                else b = m;
            }
            for (const k of [a - 1, a]) {
                const p = s.points[k];
                if (!p || !isFinite(p[1])) continue;
                const d = Math.abs(view.x(p[0]) - mx) * 4 + Math.abs(view.y(p[1]) - my);
                if (d < least) {
                    least = d;
                    best = { series: i, t: p[0], v: p[1] };
                }
            }
        });
        return best;
    }

    function showTip() {
        tip.hidden = hover === null;
        if (hover === null) return;
        const value = document.createElement('div'), when = document.createElement('div'), name = document.createElement('div');
        value.className = 'value';
        value.textContent = String(hover.v);
        when.className = 'soft';
        when.textContent = fullTime(hover.t);
        name.className = 'mono';
        name.textContent = data.series[hover.series].name;
        tip.replaceChildren(value, when, name);
        const px = view.x(hover.t), py = view.y(hover.v);
        tip.style.left = (px > view.width / 2 ? Math.max(0, px - tip.offsetWidth - 14) : px + 14) + 'px';
        tip.style.top = Math.max(0, Math.min(view.height - tip.offsetHeight, py - tip.offsetHeight / 2)) + 'px';
    }

    canvas.addEventListener('mousemove', (e) => {
        if (!view) return;
        const r = canvas.getBoundingClientRect();
        hover = nearest(e.clientX - r.left, e.clientY - r.top);
        paint();
        showTip();
    });
    canvas.addEventListener('mouseleave', () => {
        hover = null;
        paint();
        showTip();
    });

    /* A click shows that series alone, another one everything again; with Ctrl it is switched on and off. */
    function toggle(i, one) {
        const alone = hidden.size === data.series.length - 1 && !hidden.has(i);
        if (one) {
            if (hidden.has(i)) hidden.delete(i);
            else hidden.add(i);
        } else {
            hidden.clear();
            if (!alone) data.series.forEach((_, k) => k !== i && hidden.add(k));
        }
        [...legend.children].forEach((b, k) => b.classList.toggle('off', hidden.has(k)));
        paint();
    }

    data.series.forEach((s, i) => {
        const b = document.createElement('button'), dot = document.createElement('span'), text = document.createElement('span');
        b.type = 'button';
        dot.className = 'dot';
        dot.style.background = graphColor(i);
        text.className = 'text mono';
        text.textContent = s.name;
        b.append(dot, text);
        b.addEventListener('click', (e) => toggle(i, e.ctrlKey || e.metaKey));
        legend.append(b);
    });

    const observer = new ResizeObserver(() => {
        if (!plot.isConnected) observer.disconnect();
        else paint();
    });
    observer.observe(plot);
    paint();
    return { repaint: () => { [...legend.children].forEach((b, i) => { b.firstChild.style.background = graphColor(i); }); paint(); } };
}
