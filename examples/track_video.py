"""Follow a target through a video with a running server: python examples/track_video.py clip.mp4 198,214,34,81"""

import sys

import cv2

from siamfc import Client, Result

video = cv2.VideoCapture(sys.argv[1])
box = [float(number) for number in sys.argv[2].split(",")]
first = video.read()[1]
later = (frame for there, frame in iter(video.read, (False, None)) if there)

with Client("http://localhost:8000") as client, client.start(first, box) as session:
    for answer in session.stream(later):
        print(answer.frame_index, answer.target.status, answer.box) if isinstance(answer, Result) else print(answer)
