"""The stylesheet of the test channel's pages: small, mobile first, light and dark."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--ground:#f3f5f9;--card:#fff;--text:#171b26;--soft:#5c667a;--line:#e4e8f0;
--accent:#1463e0;
--on-accent:#fff;--good:#0f7b4b;--bad:#b8322a;--wait:#8a5a00;--good-ground:#e5f5ec;--bad-ground:#fbeae9;
--wait-ground:#fdf3df;
--shadow:0 1px 2px rgba(20,30,60,.06),0 12px 32px rgba(20,30,60,.08)}
@media (prefers-color-scheme:dark){:root{--ground:#0e1118;--card:#181c26;--text:#eef1f7;--soft:#9aa5ba;--line:#2a3040;
--accent:#5b9bff;--on-accent:#08142b;--good:#5fd39a;--bad:#ff8f86;--wait:#f0bf62;--good-ground:#12301f;
--bad-ground:#3a1917;
--wait-ground:#35290f;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"PingFang SC","Noto Sans SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif;
-webkit-text-size-adjust:100%}
small{font-size:13px;color:var(--soft)}
.mono{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.9em;overflow-wrap:anywhere}
.money-figure,.amount,time{font-variant-numeric:tabular-nums}
.bar{display:flex;align-items:center;gap:8px;padding:12px 16px;font-size:13px;color:var(--soft)}
.brand{font-weight:600;color:var(--text);padding:2px 10px;border:1px solid var(--line);border-radius:99px;
background:var(--card)}
.bar a{margin-left:auto;color:inherit;padding:8px;margin-block:-8px;margin-right:-8px}
.sheet{background:var(--card);padding:20px 16px 28px;min-height:calc(100vh - 52px)}
.summary{text-align:center;padding-bottom:20px;border-bottom:1px solid var(--line)}
.who{display:inline-flex;align-items:center;gap:10px;text-align:left;max-width:100%}
.avatar{flex:none;width:40px;height:40px;border-radius:12px;display:grid;place-items:center;font-weight:700;
background:var(--accent);color:var(--on-accent)}
.name{display:grid;line-height:1.3;font-weight:600;overflow-wrap:anywhere}
.amount{font-size:44px;line-height:1.1;font-weight:700;letter-spacing:-.02em;margin:20px 0 16px;
overflow-wrap:anywhere}
.amount.long{font-size:30px}
.name small{font-weight:400}
dl{margin:0;font-size:14px;display:grid;gap:6px}
dl div{display:flex;gap:16px;justify-content:space-between}
dt{color:var(--soft);flex:none}
dd{margin:0;text-align:right;overflow-wrap:anywhere}
fieldset{border:0;padding:0;margin:20px 0;display:grid;gap:8px;min-width:0}
legend{padding:0;margin-bottom:8px;font-size:14px;color:var(--soft)}
.method{display:flex;align-items:center;gap:12px;padding:12px;border:1px solid var(--line);border-radius:14px;
cursor:pointer}
.method>span:nth-child(2){display:grid;line-height:1.35;min-width:0}
.method b{font-weight:600}
.method:has(input:checked){border-color:var(--accent);box-shadow:inset 0 0 0 1px var(--accent)}
.method input{margin-left:auto;width:20px;height:20px;accent-color:var(--accent);flex:none}
.icon{flex:none;width:40px;height:40px;border-radius:10px;display:grid;place-items:center;color:#fff;
background:#475069}
.alipay .icon{background:#1677ff}
.wechat .icon{background:#07a050}
svg{width:24px;height:24px;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.button{display:block;width:100%;min-height:52px;padding:13px 20px;border:0;border-radius:14px;
background:var(--accent);
color:var(--on-accent);font:inherit;font-size:17px;font-weight:600;text-align:center;text-decoration:none;
cursor:pointer;
font-variant-numeric:tabular-nums}
.button:hover{filter:brightness(1.06)}
.button.quiet{background:transparent;color:var(--accent);border:1px solid var(--line)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.method:focus-within:has(:focus-visible){outline:3px solid var(--accent);outline-offset:2px}
.hint{color:var(--soft);font-size:14px;margin:8px 0 16px}
.cases{margin-top:20px;border-top:1px solid var(--line);padding-top:8px}
summary{cursor:pointer;padding:8px 0;font-size:14px;color:var(--soft)}
.knobs{display:grid;gap:4px;margin-bottom:16px;font-size:14px}
.knob{display:flex;align-items:center;justify-content:space-between;gap:16px;min-height:44px}
.knob input[type=number]{width:96px;padding:8px 10px;border:1px solid var(--line);border-radius:10px;
background:transparent;
color:inherit;font:inherit;text-align:right}
.knob input[type=checkbox]{width:20px;height:20px;accent-color:var(--accent)}
.actions{display:grid;gap:8px;grid-template-columns:repeat(2,1fr)}
.actions button{display:grid;gap:2px;align-content:start;text-align:left;padding:10px 12px;
border:1px solid var(--line);
border-radius:12px;background:transparent;color:inherit;font:inherit;font-size:15px;line-height:1.35;cursor:pointer}
.actions button:hover{border-color:var(--accent)}
.actions button:only-child{grid-column:1/-1}
.actions small{font-size:12.5px}
.result{text-align:center}
section.result{padding-top:24px}
.result h1{font-size:22px;margin:12px 0 4px}
.sign{display:inline-grid;place-items:center;width:56px;height:56px;border-radius:50%;background:var(--bad-ground);
color:var(--bad)}
.sign svg{width:30px;height:30px}
.paid .sign{background:var(--good-ground);color:var(--good)}
.pending .sign,.expired .sign{background:var(--wait-ground);color:var(--wait)}
.received{margin:4px 0;font-weight:600}
.result .hint{max-width:32em;margin:8px auto 20px}
.wide{max-width:1120px;margin:0 auto;padding:8px 16px 40px}
.wide h1{font-size:22px;margin:8px 0 16px}
.rows{list-style:none;margin:0;padding:0;background:var(--card);border-radius:16px;box-shadow:var(--shadow)}
.rows>li{display:grid;gap:8px 24px;padding:14px 16px;border-top:1px solid var(--line)}
.rows>li:first-child{border-top:0}
.what,.money{display:grid;gap:2px;min-width:0;overflow-wrap:anywhere}
.what a{color:inherit;text-decoration:none}
.what a:hover{color:var(--accent)}
.sum{font-weight:600}
.badge{display:inline-block;padding:2px 10px;border-radius:99px;font-size:13px;background:var(--bad-ground);
color:var(--bad)}
.badge.paid{background:var(--good-ground);color:var(--good)}
.badge.pending,.badge.expired{background:var(--wait-ground);color:var(--wait)}
.told{font-size:13px;min-width:0}
.told summary{padding:2px 0;font-size:13px}
.told ol{margin:4px 0 8px;padding-left:20px;color:var(--soft);overflow-wrap:anywhere}
.empty{background:var(--card);border-radius:16px;padding:40px 24px;text-align:center;color:var(--soft)}
.turn{display:flex;gap:16px;justify-content:flex-end;padding:12px 4px;font-size:14px}
.turn a{color:var(--accent);padding:8px}
@media (min-width:640px){
.bar{padding:16px 24px}
.sheet{width:460px;margin:24px auto 48px;padding:28px;border-radius:22px;min-height:0;box-shadow:var(--shadow)}
}
@media (min-width:900px){
.rows>li{grid-template-columns:minmax(0,2.2fr) minmax(0,1.5fr) 120px minmax(0,2fr);align-items:start}
.money{text-align:right}
}
"""
