"""Track between two ffmpeg processes: raw BGR frames in, frames with the box out, one JSON line a frame on stderr.

ffmpeg -loglevel error -i clip.mp4 -f rawvideo -pix_fmt bgr24 - \
  | python examples/ffmpeg_pipe.py 640x480 198,214,34,81 http://localhost:8000 \
  | ffmpeg -loglevel error -f rawvideo -pix_fmt bgr24 -s 640x480 -r 30 -i - -pix_fmt yuv420p out.mp4
"""

import json
import sys

import cv2
import numpy as np

from siamfc.opencv import Tracker

width, height = (int(number) for number in sys.argv[1].split("x"))
box = [float(number) for number in sys.argv[2].split(",")]
frames = iter(lambda: sys.stdin.buffer.read(width * height * 3), b"")

with Tracker(server=sys.argv[3]) as tracker:
    for index, data in enumerate(frames):
        image = np.frombuffer(data, np.uint8).reshape(height, width, 3).copy()
        if index == 0:
            tracker.init(image, box)
        found, (x, y, w, h) = tracker.update(image) if index else (True, box)
        print(json.dumps({"frame_index": index, "box": [x, y, w, h], "found": found}), file=sys.stderr)
        cv2.rectangle(image, (round(x), round(y)), (round(x + w), round(y + h)), (80, 220, 80), 2)
        sys.stdout.buffer.write(image.tobytes())
