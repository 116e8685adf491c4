// The big round thing: it listens, thinks and speaks. A canvas, redrawn only while there is something to see.

const LOOKS = {
  // size 0..1, colour 0 grey .. 1 accent, glow 0..1, whose level moves it
  off: { size: 0.62, colour: 0.62, glow: 0.2, from: "" },
  asleep: { size: 0.56, colour: 0, glow: 0.05, from: "mic" },
  idle: { size: 0.66, colour: 0.85, glow: 0.3, from: "mic" },
  hearing: { size: 0.7, colour: 1, glow: 0.55, from: "mic" },
  thinking: { size: 0.62, colour: 1, glow: 0.35, from: "" },
  speaking: { size: 0.7, colour: 1, glow: 0.6, from: "speaker" },
  paused: { size: 0.58, colour: 0.7, glow: 0.2, from: "mic" },
};
const WAVES = 4;
const WHITE = [255, 255, 255];

export class Orb {
  /** `levels()` gives {mic, speaker}, each 0..1. */
  constructor(canvas, levels) {
    this.canvas = canvas;
    this.brush = canvas.getContext("2d");
    this.levels = levels;
    this.state = "off";
    this.now = { ...LOOKS.off, level: 0 };
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.time = 0;
    this.before = 0;
    const repaint = () => this.readColours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.readColours();
    this.resize();
    requestAnimationFrame((at) => this.frame(at));
  }

  show(state) {
    this.state = state in LOOKS ? state : "idle";
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => parse(style.getPropertyValue(name).trim());
    this.colours = { accent: read("--accent"), glow: read("--glow"), grey: read("--quiet-orb"), sign: read("--accent-ink") };
  }

  resize() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const side = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
  }

  frame(at) {
    const seconds = Math.min(0.05, (at - this.before) / 1000);
    this.before = at;
    this.time += this.still.matches ? 0 : seconds;
    const look = LOOKS[this.state];
    const ease = 1 - Math.exp(-seconds * 7);
    for (const key of ["size", "colour", "glow"]) this.now[key] += (look[key] - this.now[key]) * ease;
    const loud = look.from ? Math.min(1, this.levels()[look.from] * 4) : 0;
    // Quick to rise, slow to fall: as ears feel loudness.
    this.now.level += (loud - this.now.level) * (loud > this.now.level ? 0.45 : 0.09);
    this.draw();
    requestAnimationFrame((next) => this.frame(next));
  }

  draw() {
    const { brush, time, now, colours } = this;
    const side = this.canvas.width;
    const middle = side / 2;
    const breath = this.still.matches ? 0 : Math.sin(time * 1.3) * 0.012;
    const radius = middle * (now.size + breath + now.level * 0.1);
    brush.clearRect(0, 0, side, side);
    const body = mix(colours.grey, colours.accent, now.colour);
    const light = mix(colours.grey, colours.glow, now.colour);

    const halo = brush.createRadialGradient(middle, middle, radius * 0.7, middle, middle, middle);
    halo.addColorStop(0, css(light, 0.5 * now.glow + 0.35 * now.level));
    halo.addColorStop(1, css(light, 0));
    brush.fillStyle = halo;
    brush.fillRect(0, 0, side, side);

    const strength = this.still.matches ? 0 : 0.01 + now.level * 0.04;
    for (let ring = 2; ring >= 1; ring--) {
      this.blob(middle, radius * (1 + ring * (0.035 + now.level * 0.075)), strength * 1.35, ring * 1.7);
      brush.fillStyle = css(light, (0.1 + 0.14 * now.level) * (0.4 + now.colour * 0.6));
      brush.fill();
    }
    this.blob(middle, radius, strength, 0);
    const ball = brush.createRadialGradient(
      middle - radius * 0.35, middle - radius * 0.45, radius * 0.05, middle, middle, radius * 1.15,
    );
    ball.addColorStop(0, css(mix(light, WHITE, 0.45), 1));
    ball.addColorStop(0.55, css(mix(body, light, 0.55), 1));
    ball.addColorStop(1, css(body, 1));
    brush.fillStyle = ball;
    brush.fill();
    this.sign(middle, radius);
  }

  // A round outline with a few slow waves on it.
  blob(middle, radius, strength, shift) {
    const { brush, time } = this;
    brush.beginPath();
    for (let step = 0; step <= 96; step++) {
      const angle = (step / 96) * Math.PI * 2;
      let wave = 0;
      for (let k = 2; k < 2 + WAVES; k++) wave += Math.sin(angle * k + time * (0.6 + k * 0.37) + shift * k) / k;
      const r = radius * (1 + strength * wave);
      brush.lineTo(middle + Math.cos(angle) * r, middle + Math.sin(angle) * r);
    }
    brush.closePath();
  }

  // Thinking turns, being held stands still: states that have no sound to move with.
  sign(middle, radius) {
    const { brush, time } = this;
    brush.lineCap = "round";
    brush.lineWidth = radius * 0.05;
    brush.strokeStyle = css(this.colours.sign, 0.92);
    if (this.state === "thinking") {
      for (let arm = 0; arm < 3; arm++) {
        const from = time * 2.4 + (arm * Math.PI * 2) / 3;
        brush.beginPath();
        brush.arc(middle, middle, radius * 0.34, from, from + 0.95);
        brush.stroke();
      }
    } else if (this.state === "paused") {
      for (const x of [-0.13, 0.13]) {
        brush.beginPath();
        brush.moveTo(middle + x * radius, middle - radius * 0.2);
        brush.lineTo(middle + x * radius, middle + radius * 0.2);
        brush.stroke();
      }
    }
  }
}

function parse(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function mix(a, b, share) {
  return a.map((value, index) => value + (b[index] - value) * share);
}

function css([r, g, b], alpha) {
  return `rgb(${r | 0} ${g | 0} ${b | 0} / ${Math.min(1, alpha).toFixed(3)})`;
}
