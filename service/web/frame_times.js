// When the frames of a video are shown, counted from the first one.

/** The times of the frames that `table` shows, in seconds, from 0 on. */
export function timesOf({ samples, shown }) {
  const first = samples[shown[0]].time;
  return shown.map((place) => samples[place].time - first);
}

/** Frames a second, by the middle one of the intervals: one long frame does not change it. */
export function rateOf(times) {
  const steps = times.slice(1).map((time, k) => time - times[k]).sort((a, b) => a - b);
  const middle = steps[Math.floor(steps.length / 2)];
  return middle > 0 ? Math.round(1000 / middle) / 1000 : 30;
}
