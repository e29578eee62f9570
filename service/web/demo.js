// A scene drawn by code: a ladybird and a butterfly over leaves. Its truth is exact.

export const DEMO_SIZE = { width: 640, height: 360 };

/** A small seeded generator, so that every visit draws the same scene. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function leaves() {
  const canvas = new OffscreenCanvas(DEMO_SIZE.width + 160, DEMO_SIZE.height + 80);
  const ctx = canvas.getContext("2d");
  const random = generator(20160916);
  ctx.fillStyle = "#39502f";
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < 900; i += 1) {
    const [x, y] = [random() * canvas.width, random() * canvas.height];
    const length = 14 + random() * 46;
    ctx.save();
    ctx.translate(x, y);
    ctx.rotate(random() * Math.PI * 2);
    ctx.fillStyle = `hsl(${78 + random() * 55} ${28 + random() * 34}% ${18 + random() * 34}%)`;
    ctx.beginPath();
    ctx.ellipse(0, 0, length, length * 0.34, 0, 0, Math.PI * 2);
    ctx.fill();
    ctx.strokeStyle = "rgb(240 255 220 / 22%)";
    ctx.lineWidth = 1.2;
    ctx.beginPath();
    ctx.moveTo(-length * 0.9, 0);
    ctx.lineTo(length * 0.9, 0);
    ctx.stroke();
    ctx.restore();
  }
  return canvas;
}

function disc(ctx, x, y, radius) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, Math.PI * 2);
  ctx.fill();
}

function drawLadybird(ctx, { x, y, scale, angle }) {
  ctx.save();
  ctx.translate(x, y);
  ctx.scale(scale, scale);
  ctx.rotate(angle);
  ctx.strokeStyle = "#111";
  ctx.lineWidth = 3;
  for (const side of [-1, 1]) {
    for (const reach of [-15, 0, 15]) {
      ctx.beginPath();
      ctx.moveTo(reach, side * 20);
      ctx.lineTo(reach * 1.5 - 4, side * 33);
      ctx.stroke();
    }
  }
  ctx.fillStyle = "#16181d";
  disc(ctx, 28, 0, 13);
  ctx.fillStyle = "#f4f1e6";
  disc(ctx, 32, -7, 3.4);
  disc(ctx, 32, 7, 3.4);
  ctx.fillStyle = "#d3271c";
  ctx.beginPath();
  ctx.ellipse(0, 0, 32, 27, 0, 0, Math.PI * 2);
  ctx.fill();
  ctx.fillStyle = "rgb(255 190 160 / 55%)";
  ctx.beginPath();
  ctx.ellipse(8, -14, 11, 5, -0.3, 0, Math.PI * 2);
  ctx.fill();
  ctx.fillStyle = "#16181d";
  ctx.fillRect(-32, -1.2, 62, 2.4);
  for (const [dx, dy, radius] of [[-14, -13, 6], [-14, 13, 6], [8, -15, 5], [8, 15, 5], [-1, -4, 3.6], [-1, 6, 3.6]]) {
    disc(ctx, dx, dy, radius);
  }
  ctx.restore();
}

function drawButterfly(ctx, { x, y, flap }) {
  ctx.save();
  ctx.translate(x, y);
  for (const side of [-1, 1]) {
    ctx.fillStyle = "#3f7fe0";
    ctx.beginPath();
    ctx.ellipse(side * 15 * flap, -7, 15 * flap, 17, side * 0.5, 0, Math.PI * 2);
    ctx.fill();
    ctx.fillStyle = "#f2c230";
    ctx.beginPath();
    ctx.ellipse(side * 12 * flap, 13, 11 * flap, 11, 0, 0, Math.PI * 2);
    ctx.fill();
    ctx.fillStyle = "#14213d";
    disc(ctx, side * 17 * flap, -9, 5);
  }
  ctx.fillStyle = "#1b1b1b";
  ctx.fillRect(-2.5, -20, 5, 42);
  ctx.restore();
}

/** Where the two are at `t` seconds. */
function poses(t) {
  return {
    ladybird: {
      x: 320 + 205 * Math.sin(t * 0.46 - 0.9),
      y: 182 + 88 * Math.sin(t * 0.71 + 0.35),
      scale: 1 + 0.16 * Math.sin(t * 0.37),
      angle: 0.25 * Math.sin(t * 0.9),
    },
    butterfly: {
      x: 330 + 225 * Math.sin(t * 0.39 + 2.1),
      y: 150 + 80 * Math.cos(t * 0.63) + 7 * Math.sin(t * 4.1),
      flap: 0.84 + 0.16 * Math.cos(t * 5.2),
    },
  };
}

function boxAround(x, y, halfWidth, halfHeight) {
  return [x - halfWidth, y - halfHeight, 2 * halfWidth, 2 * halfHeight];
}

export class DemoScene {
  #leaves = leaves();

  /** The boxes of the truth at `t` seconds, [x, y, w, h] in frame pixels. */
  truth(t) {
    const { ladybird, butterfly } = poses(t);
    return {
      ladybird: boxAround(ladybird.x + 3 * ladybird.scale, ladybird.y, 38 * ladybird.scale, 32 * ladybird.scale),
      butterfly: boxAround(butterfly.x, butterfly.y, 30, 26),
    };
  }

  paint(ctx, t) {
    ctx.drawImage(this.#leaves, -80 + 60 * Math.sin(t * 0.11), -40 + 30 * Math.cos(t * 0.13));
    const { ladybird, butterfly } = poses(t);
    drawButterfly(ctx, butterfly);
    drawLadybird(ctx, ladybird);
  }
}
