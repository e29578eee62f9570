"""Follow a target through a video with a running server: python examples/track_video.py clip.mp4 198,214,34,81"""

import sys

import cv2

from siamfc import Client

video = cv2.VideoCapture(sys.argv[1])
box = [float(number) for number in sys.argv[2].split(",")]
first = video.read()[1]
later = (frame for there, frame in iter(video.read, (False, None)) if there)

with Client("http://localhost:8000") as client, client.start(first, box) as session:
    for result in session.stream(later):
        print(result.frame_index, result.target.status, result.box)
