// Charts: the library is fetched when a page has one. Options come as JSON beside the frame, colours from the tokens.
import { address } from "kameng/behaviours";

let loading = null;

function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address("charts");
    script.onload = () => resolve(window.echarts);
    script.onerror = reject;
    document.head.append(script);
  });
  return loading;
}

function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function dressed(option) {
  const ink = token("--ink-faint");
  const line = token("--line");
  const axis = (given) => ({
    axisLine: { lineStyle: { color: line } },
    axisTick: { show: false },
    axisLabel: { color: ink, fontSize: 11 },
    splitLine: { lineStyle: { color: line } },
    ...given,
  });
  const axes = (given) => (Array.isArray(given) ? given.map(axis) : given ? axis(given) : undefined);
  const series = {
    bar: { barMaxWidth: 22, itemStyle: { borderRadius: [3, 3, 0, 0] } },
    line: { showSymbol: false, lineStyle: { width: 2 } },
  };
  return {
    animationDuration: 250,
    color: [1, 2, 3, 4, 5, 6].map((number) => token(`--series-${number}`)),
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 8, right: 8, top: 28, bottom: 8, containLabel: true },
    ...option,
    tooltip: {
      trigger: "axis",
      renderMode: "richText", // The HTML kind writes style attributes, which the content policy refuses.
      backgroundColor: token("--surface"),
      borderColor: token("--line"),
      textStyle: { color: token("--ink"), fontSize: 12 },
      ...option.tooltip,
    },
    legend: option.legend && { top: 0, right: 0, icon: "roundRect", itemWidth: 10, itemHeight: 10, textStyle: { color: ink }, ...option.legend },
    series: (option.series ?? []).map((one) => ({ ...series[one.type], ...one })),
    xAxis: axes(option.xAxis),
    yAxis: axes(option.yAxis),
  };
}

export async function bind(frame) {
  const option = JSON.parse(document.getElementById(frame.dataset.kamengChart).textContent);
  const echarts = await library();
  frame.replaceChildren();
  const chart = echarts.init(frame, null, { renderer: "canvas" });
  chart.setOption(dressed(option));
  new ResizeObserver(() => chart.resize()).observe(frame);
  document.addEventListener("kameng:theme", () => chart.setOption(dressed(option), true));
}
