// The page of the screen share: the stream in an <img>, and once a second the state, from which come the
// figures, the warnings, and the knowledge that a stream has ended: browsers don't tell.

const STRINGS = {
  en: {
    title: "Screen share",
    picture: "The shared screen",
    controls: "Controls",
    quality: "Quality",
    low: "Low",
    medium: "Medium",
    high: "High",
    viewers: (count) => (count === 1 ? "viewer" : "viewers"),
    rate: (fps) => `${fps} fps`,
    rateTitle: "Pictures a second that reach you; a still screen needs few",
    delay: (ms) => `${ms} ms`,
    delayTitle: "From the capture of the screen until the picture is on its way to you",
    actual: "Actual size (1)",
    fit: "Fit to the window (0)",
    pause: "Pause (space)",
    resume: "Resume (space)",
    save: "Save this picture (S)",
    full: "Full screen (F)",
    window: "Leave full screen (F)",
    close: "Close",
    saved: (name) => `Saved as ${name}`,
    noPicture: "There is no picture at the moment",
    slow: "Your connection can’t keep up.",
    lower: { low: "Use low quality", medium: "Use medium quality" },
    connecting: "Connecting…",
    paused: "Paused",
    stale: "No new picture",
    lost: "No connection, trying again",
    age: (seconds) => `· ${seconds} s`,
    unreachable: "No connection to the host",
    again: "Trying again by itself.",
    taken: (count) => `All ${count} places are taken`,
    takenText: "You will see the screen as soon as somebody leaves.",
    ended: "The host has ended your viewing",
    watchAgain: "Watch again",
    watchIn: (seconds) => `Watch again in ${seconds} s`,
    ask: "Enter the PIN that the host’s computer shows",
    askAgain: "The share was started anew: please enter the new PIN.",
    enter: "Watch",
    wrong: "That PIN is wrong.",
    oldLink: "This link is no longer valid: please enter the PIN.",
    locked: "Too many wrong PINs.",
    closed: "Too many wrong PINs from many places. The host’s link and QR code still work.",
    dismissed: "The host has ended your viewing.",
    lockedFor: (seconds) => `Try again in ${seconds > 120 ? `${Math.ceil(seconds / 60)} min` : `${seconds} s`}.`,
  },
  zh: {
    title: "屏幕共享",
    picture: "共享的屏幕",
    controls: "控制栏",
    quality: "画质",
    low: "低",
    medium: "中",
    high: "高",
    viewers: () => "人观看",
    rate: (fps) => `${fps} 帧/秒`,
    rateTitle: "您每秒收到的画面数；屏幕静止时很少",
    delay: (ms) => `${ms} 毫秒`,
    delayTitle: "从截取屏幕到画面发往您的时间",
    actual: "原始大小（1）",
    fit: "适应窗口（0）",
    pause: "暂停（空格）",
    resume: "继续（空格）",
    save: "保存当前画面（S）",
    full: "全屏（F）",
    window: "退出全屏（F）",
    close: "关闭",
    saved: (name) => `已保存为 ${name}`,
    noPicture: "目前没有画面",
    slow: "您的网络跟不上。",
    lower: { low: "改用低画质", medium: "改用中画质" },
    connecting: "正在连接…",
    paused: "已暂停",
    stale: "没有新画面",
    lost: "连接已中断，正在重试",
    age: (seconds) => `· ${seconds} 秒`,
    unreachable: "无法连接到主机",
    again: "正在自动重试。",
    taken: (count) => `${count} 个观看名额已满`,
    takenText: "有人离开后，您会自动看到屏幕。",
    ended: "主持人已结束您的观看",
    watchAgain: "重新观看",
    watchIn: (seconds) => `${seconds} 秒后可重新观看`,
    ask: "请输入主机屏幕上显示的 PIN 码",
    askAgain: "共享已重新启动：请输入新的 PIN 码。",
    enter: "观看",
    wrong: "PIN 码错误。",
    oldLink: "此链接已失效：请输入 PIN 码。",
    locked: "PIN 码错误次数过多。",
    closed: "多处输错 PIN 码次数过多。主持人的链接和二维码仍可使用。",
    dismissed: "主持人已结束您的观看。",
    lockedFor: (seconds) => `请在 ${seconds > 120 ? `${Math.ceil(seconds / 60)} 分钟` : `${seconds} 秒`}后重试。`,
  },
};

const chinese = navigator.language.toLowerCase().startsWith("zh");
const text = chinese ? STRINGS.zh : STRINGS.en;

// Milliseconds
const POLL = 1000;
const POLL_LIMIT = 3000;
const SNAPSHOT_LIMIT = 10000;
const CHECK = 250;
const STALE = 3000;
const IDLE = 3000;
const TOAST = 4000;
const PATIENCE = 4000; // until a new stream must be known to the server
const LONGEST_PAUSE = 10000; // between two tries

// Why no PIN is taken for a time, by the status that says so
const LOCKS = { 403: "dismissed", 429: "locked", 503: "closed" };

const QUALITIES = ["low", "medium", "high"];

const element = (id) => document.getElementById(id);
const stage = element("stage");
const bar = element("bar");
const pin = element("pin");

const now = () => performance.now();
const secondsUntil = (time) => Math.max(0, Math.ceil((time - now()) / 1000));

// What render() shows
const model = {
  quality: "medium",
  paused: false,
  still: null, // the picture that stays while paused, a Blob
  state: null, // the last answer of /screen/state
  refused: false, // whether the last stream ended before its first picture
  reachable: true,
  startedAt: now(),
  freshAt: 0, // when the picture in view was last known to be current
  endedUntil: null, // set when the host has ended this viewing
  pinProblem: null, // "wrong", "askAgain", "oldLink", "unreachable"
  lockedUntil: 0,
  lockReason: null, // "locked", "closed", "dismissed"
  hintClosedAt: null, // the quality at which the hint was closed
};

let stream = null; // { image, token, startedAt, known, failed }
let shown = null; // the <img> in view
let tries = 0; // streams started since the last picture
let polling = 0; // timer
let typedPin = null; // so that a server that restarts with the same PIN needs no typing

const isWatching = () => document.body.dataset.view === "watch";
const wantsStream = () => isWatching() && !document.hidden && !model.paused && model.endedUntil === null;

// ---- The stream ----

function newToken() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function newImage() {
  const image = new Image();
  image.alt = text.picture;
  image.draggable = false;
  return image;
}

/** Ends what an <img> loads; to take it out of the page does not. */
function release(image) {
  if (image !== null) {
    image.onload = image.onerror = null;
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    image.removeAttribute("src");
  }
}

function show(image) {
  if (image === shown) return;
  stage.replaceChildren(image);
  release(shown);
  shown = image;
  brokenLooks = 0;
}

function clearStage() {
  stage.replaceChildren();
  release(shown);
  shown = null;
}

/** Asks for a new stream. What is in view stays until its first picture is here. */
function connect() {
  if (stream !== null && stream.image !== shown) release(stream.image);
  const image = newImage();
  const started = { image, token: newToken(), startedAt: now(), known: false, failed: false };
  stream = started;
  tries += 1;
  image.onload = () => {
    // Some browsers tell of every picture, some of the first only.
    if (stream !== started || shown === image) return;
    tries = 0;
    model.refused = false;
    model.freshAt = now();
    show(image);
    render();
    poll(); // the figures of this stream
  };
  image.onerror = () => {
    if (stream !== started) return;
    started.failed = model.refused = true;
    // The stream in view may have the very place that the new one needs.
    if (placesAreTaken()) clearStage();
    render();
  };
  // The token tells the server's figures for this stream, and makes each address new to the browser.
  image.src = `/video_feed?quality=${model.quality}&viewer=${started.token}`;
}

let brokenLooks = 0;

/** A stream that breaks off leaves a broken picture in Chromium, which tells nobody. */
function checkPicture() {
  const had = hasPicture();
  brokenLooks = shown !== null && shown.naturalWidth === 0 ? brokenLooks + 1 : 0;
  if (hasPicture() !== had) render();
}

/** Whether there is a picture in view. Seen broken but once, it may be between two pictures. */
function hasPicture() {
  return shown !== null && brokenLooks < 2;
}

function placesAreTaken() {
  return model.state !== null && model.state.viewers.length >= model.state.max_viewers;
}

function disconnect() {
  if (stream !== null && stream.image !== shown) release(stream.image);
  if (stream !== null && stream.image === shown) clearStage();
  stream = null;
}

/** Starts the stream anew where the server no longer knows it. `state` was asked for with the stream's token. */
function checkStream(state, wasReachable) {
  if (!wantsStream()) return;
  const age = stream === null ? Infinity : now() - stream.startedAt;
  const pause = Math.min(LONGEST_PAUSE, 500 * 2 ** tries);
  if (stream === null) connect();
  else if (stream.failed) {
    if (age > pause) connect();
  } else if (state.you) {
    stream.known = true;
    model.freshAt = Math.max(model.freshAt, now() - (state.you.age ?? 0) * 1000);
  } else if (state.you === null) {
    if (stream.known || age > Math.max(PATIENCE, pause)) connect();
  } else {
    // A server that doesn't know viewers by their token
    model.freshAt = now();
    if (!wasReachable) connect();
  }
}

// ---- The state ----

async function request(path, limit, options = {}) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), limit);
  try {
    const answer = await fetch(path, { cache: "no-store", signal: abort.signal, ...options });
    return { status: answer.status, wait: Number(answer.headers.get("Retry-After")) || 0, body: await answer.blob() };
  } finally {
    clearTimeout(timer);
  }
}

async function poll() {
  clearTimeout(polling);
  const asked = stream;
  let answer = { status: 0 };
  try {
    answer = await request(`/screen/state?viewer=${asked === null ? "" : asked.token}`, POLL_LIMIT);
    if (answer.status === 200) answer.state = JSON.parse(await answer.body.text());
  } catch {
    answer.status = 0;
  }
  if (!isWatching() || document.hidden) return;
  heed(answer, asked);
  render();
  if (isWatching() && model.endedUntil === null) schedulePoll();
}

function schedulePoll() {
  clearTimeout(polling);
  polling = setTimeout(poll, POLL);
}

function heed(answer, asked) {
  const wasReachable = model.reachable;
  if (answer.status === 401 || answer.status === 429) askForPin(answer);
  else if (answer.status === 403) endViewing(answer.wait);
  else {
    model.reachable = answer.status === 200;
    if (answer.status !== 200) return;
    model.state = answer.state;
    if (asked === stream) checkStream(answer.state, wasReachable);
  }
}

function startWatching() {
  model.startedAt = now();
  model.endedUntil = null;
  tries = 0;
  if (wantsStream()) connect();
  poll();
}

function stopWatching() {
  clearTimeout(polling);
  disconnect();
  if (model.still === null) clearStage();
}

function endViewing(seconds) {
  stopWatching();
  model.endedUntil = now() + seconds * 1000;
}

// ---- The PIN ----

function askForPin(answer) {
  stopWatching();
  const again = typedPin;
  typedPin = null;
  if (answer.status === 429) lock(answer);
  else if (again !== null) {
    enter({ pin: again }, "askAgain");
    return;
  } else if (model.state !== null) model.pinProblem = "askAgain";
  showView("pin");
}

function showView(name) {
  document.body.dataset.view = name;
  render();
  if (name === "pin") pin.focus();
}

function lock(answer) {
  model.lockedUntil = now() + answer.wait * 1000;
  model.lockReason = LOCKS[answer.status];
}

/** `pass` is { pin } or { key }; `problem` is what to say of a wrong one. */
async function enter(pass, problem) {
  const button = element("enter");
  button.disabled = true;
  let answer;
  try {
    const body = JSON.stringify(pass);
    const headers = { "Content-Type": "application/json" };
    answer = await request("/screen/pin", POLL_LIMIT, { method: "POST", headers, body });
  } catch {
    answer = { status: 0 };
  }
  button.disabled = false;
  model.pinProblem = null;
  if (answer.status === 204) {
    typedPin = pass.pin ?? null;
    pin.value = "";
    showView("watch");
    startWatching();
    return;
  }
  if (answer.status in LOCKS && answer.wait > 0) lock(answer);
  else model.pinProblem = answer.status === 403 ? problem : "unreachable";
  showView("pin");
  pin.select();
}

/** Takes key or PIN out of a link /screen#key=… or /screen#pin=…, and out of the address bar and the history. */
function passOfLink() {
  const { key = null, pin: digits = null } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (key !== null || digits !== null) history.replaceState(null, "", location.pathname + location.search);
  return { key, digits };
}

/** The key opens by itself. A PIN is only filled in: any page may link here, and each wrong one counts as a try. */
function enterByLink() {
  const { key, digits } = passOfLink();
  if (isWatching()) return;
  if (key !== null) enter({ key }, "oldLink");
  else if (digits !== null) {
    pin.value = digits;
    element("enter").focus();
  }
}

// ---- What the viewer does ----

function chooseQuality(name) {
  model.quality = name;
  remember("quality", name);
  if (model.paused) resume();
  else if (wantsStream()) connect();
  render();
}

function chooseSize(actual) {
  stage.classList.toggle("actual", actual);
  // A region that scrolls must be reachable by keyboard.
  if (actual) stage.tabIndex = 0;
  else stage.removeAttribute("tabindex");
  render();
}

async function fetchPicture() {
  const answer = await request(`/screen/snapshot.jpg?quality=${model.quality}`, SNAPSHOT_LIMIT);
  if (answer.status !== 200) throw new Error(`snapshot: ${answer.status}`);
  return answer.body;
}

/** Shows a picture asked for now: Firefox draws only the first one of a stream to a canvas. */
async function pause() {
  model.paused = true;
  render();
  try {
    const picture = await fetchPicture();
    const image = newImage();
    image.src = URL.createObjectURL(picture);
    await image.decode();
    if (!model.paused) return;
    model.still = picture;
    show(image);
  } catch {
    if (!model.paused) return;
    clearStage();
    toast(text.noPicture);
  }
  disconnect();
  render();
}

function resume() {
  model.paused = false;
  model.still = null;
  model.freshAt = now();
  connect();
  render();
}

async function save() {
  let picture;
  try {
    picture = model.still ?? (await fetchPicture());
  } catch {
    toast(text.noPicture);
    return;
  }
  const time = new Date(Date.now() - new Date().getTimezoneOffset() * 60000).toISOString();
  const link = document.createElement("a");
  link.download = `screen-${time.slice(0, 19).replace("T", "-").replaceAll(":", "")}.jpg`;
  link.href = URL.createObjectURL(picture);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  toast(text.saved(link.download));
}

function toggleFullScreen() {
  if (!document.fullscreenEnabled) return;
  const change = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  change.catch(() => {}); // refused by the browser: nothing to mend
}

function lowerQuality() {
  return QUALITIES[QUALITIES.indexOf(model.quality) - 1];
}

// Storage is refused to pages in some private windows.
function remember(name, value) {
  try {
    localStorage.setItem(`screen.${name}`, value);
  } catch {}
}

function recall(name) {
  try {
    return localStorage.getItem(`screen.${name}`);
  } catch {
    return null;
  }
}

// ---- What is shown ----

let toastTimer = 0;

function toast(words) {
  const line = element("toast");
  line.textContent = words;
  line.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => line.classList.remove("shown"), TOAST);
}

/** Writes only what differs: what is live would be read out again each second. */
function write(target, words) {
  if (target.textContent !== words) target.textContent = words;
}

function setButton(id, icon, title) {
  const button = element(id);
  button.querySelector("use").setAttribute("href", `#icon-${icon}`);
  button.title = title;
  button.setAttribute("aria-label", title);
}

/** The card in the middle: why there is no picture. null where there is one, or one may come at once. */
function cardOf() {
  const { state } = model;
  if (model.endedUntil !== null) {
    const seconds = secondsUntil(model.endedUntil);
    return { title: text.ended, button: seconds > 0 ? text.watchIn(seconds) : text.watchAgain, wait: seconds > 0 };
  }
  if (model.paused) return null;
  if (model.reachable && state !== null && state.error) {
    const [reason, advice] = chinese ? [state.error_zh, state.advice_zh] : [state.error, state.advice];
    return { title: reason || state.error, text: advice || state.advice, note: text.again };
  }
  if (hasPicture()) return null;
  if (!model.reachable) return { title: text.unreachable, note: text.again };
  if (model.refused && placesAreTaken()) return { title: text.taken(state.max_viewers), text: text.takenText };
  return null;
}

/** The badge at the top: its words, whether they are a warning, and for how long it has been so. */
function badgeOf(card) {
  if (model.paused) return [text.paused, false];
  if (card !== null) return null;
  if (!hasPicture()) return now() - model.startedAt > 500 ? [text.connecting, false] : null;
  const age = now() - model.freshAt;
  if (age <= STALE) return null;
  return [model.reachable ? text.stale : text.lost, true, text.age(Math.floor(age / 1000))];
}

function renderCard(card) {
  element("card").hidden = card === null;
  if (card === null) return;
  write(element("card-title"), card.title);
  for (const part of ["text", "note", "button"]) {
    const target = element(`card-${part}`);
    write(target, card[part] ?? "");
    target.hidden = !card[part];
  }
  element("card-button").disabled = card.wait ?? false;
}

function renderFacts(covered) {
  const state = model.reachable ? model.state : null;
  const you = state?.you;
  const count = state?.viewers.length;
  element("viewers").hidden = state === null;
  write(document.querySelector("#viewers .word"), state === null ? "" : text.viewers(count));
  write(document.querySelector("#viewers .figure"), String(count ?? ""));
  for (const [id, words] of [
    ["rate", you && text.rate(Math.round(you.fps))],
    ["delay", you && text.delay(Math.round(you.latency * 1000))],
  ]) {
    element(id).hidden = !words || covered;
    write(element(id).querySelector(".figure"), words ?? "");
  }
}

function renderHint() {
  const slow = model.state?.you?.slow && model.reachable && !model.paused && model.hintClosedAt !== model.quality;
  const lower = lowerQuality();
  element("hint").hidden = !slow || lower === undefined;
  if (lower !== undefined) write(element("hint-take"), text.lower[lower]);
}

function renderBar(covered) {
  const actual = stage.classList.contains("actual");
  setButton("size", actual ? "fit" : "actual", actual ? text.fit : text.actual);
  setButton("pause", model.paused ? "resume" : "pause", model.paused ? text.resume : text.pause);
  const full = Boolean(document.fullscreenElement);
  setButton("full", full ? "window" : "full", full ? text.window : text.full);
  document.querySelector(`#quality [value=${model.quality}]`).checked = true;
  renderFacts(covered);
}

function renderPinForm() {
  const seconds = secondsUntil(model.lockedUntil);
  const problem = seconds > 0 ? model.lockReason : model.pinProblem;
  write(element("pin-problem"), problem === null ? "" : text[problem]);
  write(element("pin-wait"), seconds > 0 ? text.lockedFor(seconds) : "");
  pin.setAttribute("aria-invalid", String(model.pinProblem === "wrong" || seconds > 0));
  pin.readOnly = seconds > 0;
  element("enter").disabled = seconds > 0;
}

function render() {
  if (!isWatching()) {
    renderPinForm();
    return;
  }
  const card = cardOf();
  renderCard(card);
  const [words, warns, age] = badgeOf(card) ?? ["", false];
  element("badge").hidden = words === "";
  write(element("badge-text"), words);
  write(element("badge-age"), age ?? "");
  element("badge").classList.toggle("warning", warns);
  stage.classList.toggle("stale", warns);
  stage.classList.toggle("covered", card !== null || !hasPicture());
  renderHint();
  renderBar(card !== null);
  bar.hidden = model.endedUntil !== null;
}

function fillWords() {
  document.documentElement.lang = chinese ? "zh-CN" : "en";
  document.title = text.title;
  for (const part of document.querySelectorAll("[data-text]")) part.textContent = text[part.dataset.text];
  for (const part of document.querySelectorAll("[data-title]")) part.title = text[part.dataset.title];
  for (const part of document.querySelectorAll("[data-title], [data-label]")) {
    part.setAttribute("aria-label", text[part.dataset.title ?? part.dataset.label]);
  }
  element("rate").title = text.rateTitle;
  element("delay").title = text.delayTitle;
}

// ---- The bar hides ----

let idleTimer = 0;
let overBar = false;
let touchWoke = false;

function wake() {
  document.body.classList.remove("idle");
  clearTimeout(idleTimer);
  idleTimer = setTimeout(rest, IDLE);
}

function rest() {
  // Who is at it with pointer or keyboard would lose it from view.
  if (overBar || bar.querySelector(":focus-visible") !== null) wake();
  else document.body.classList.add("idle");
}

function followActivity() {
  document.addEventListener("pointerdown", (event) => {
    touchWoke = event.pointerType !== "mouse" && document.body.classList.contains("idle");
  });
  document.addEventListener("keydown", () => (touchWoke = false));
  // The touch that brings the bar back must not press what then lies under the finger.
  bar.addEventListener("click", (event) => touchWoke && (event.preventDefault(), event.stopPropagation()), true);
  // What was pressed with a pointer keeps no focus, so that the space key means pause again.
  bar.addEventListener("click", (event) => {
    if (event.detail > 0 && bar.contains(document.activeElement)) document.activeElement.blur();
  });
  for (const event of ["pointermove", "pointerdown", "keydown", "focusin"]) {
    document.addEventListener(event, wake, { passive: true });
  }
  bar.addEventListener("pointerenter", (event) => (overBar = event.pointerType === "mouse"));
  bar.addEventListener("pointerleave", () => (overBar = false));
  wake();
}

// ---- Events ----

/** A mouse moves the picture in its actual size as a finger does. */
function dragToScroll() {
  let last = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0 || !stage.classList.contains("actual")) return;
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragged");
    last = event;
  });
  stage.addEventListener("pointermove", (event) => {
    if (last === null) return;
    stage.scrollBy(last.clientX - event.clientX, last.clientY - event.clientY);
    last = event;
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, () => {
      last = null;
      stage.classList.remove("dragged");
    });
  }
}

const togglePause = () => (model.paused ? resume() : pause());

const KEYS = {
  f: toggleFullScreen,
  " ": togglePause,
  s: save,
  1: () => chooseSize(true),
  0: () => chooseSize(false),
};

function onKey(event) {
  if (!isWatching() || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const action = KEYS[event.key.toLowerCase()];
  // The space key presses the button that has the focus.
  if (action === undefined || (event.key === " " && event.target.closest("button, input"))) return;
  event.preventDefault();
  action();
}

function listen() {
  element("full").onclick = toggleFullScreen;
  element("full").hidden = !document.fullscreenEnabled;
  document.addEventListener("fullscreenchange", render);
  element("size").onclick = () => chooseSize(!stage.classList.contains("actual"));
  element("pause").onclick = togglePause;
  element("save").onclick = save;
  element("quality").onchange = (event) => chooseQuality(event.target.value);
  element("hint-take").onclick = () => chooseQuality(lowerQuality());
  element("hint-close").onclick = () => {
    model.hintClosedAt = model.quality;
    render();
  };
  element("card-button").onclick = startWatching;
  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    if (pin.value.trim() !== "" && secondsUntil(model.lockedUntil) === 0) enter({ pin: pin.value }, "wrong");
  };
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", () => {
    if (!isWatching() || model.endedUntil !== null) return;
    if (document.hidden) stopWatching();
    else startWatching();
  });
  addEventListener("pagehide", stopWatching);
  addEventListener("pageshow", (event) => {
    if (event.persisted && isWatching() && !document.hidden) startWatching();
  });
  addEventListener("hashchange", enterByLink);
  followActivity();
  dragToScroll();
}

function start() {
  const wanted = recall("quality");
  if (QUALITIES.includes(wanted)) model.quality = wanted;
  fillWords();
  listen();
  render();
  setInterval(render, 1000);
  setInterval(checkPicture, CHECK);
  if (isWatching()) startWatching();
  else pin.focus();
  enterByLink();
}

// A stream that begins before the page is loaded would leave it loading for ever.
if (document.readyState === "complete") start();
else addEventListener("load", start);
