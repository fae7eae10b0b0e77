"""Uploads a file with tuspy, stopped in the middle and resumed: python3 with_tuspy.py ENDPOINT TOKEN FILE"""

import json
import os
import sys

from tusclient.client import TusClient

endpoint, token, path = sys.argv[1:]
client = TusClient(endpoint, headers={"Authorization": f"Bearer {token}"})
size = os.path.getsize(path)

first = client.uploader(path, chunk_size=64 * 1024, metadata={"filename": "clip.mp4", "title": "Desde tuspy"})
first.upload(stop_at=size // 2)
assert 0 < first.offset < size, first.offset

second = client.uploader(path, chunk_size=64 * 1024, url=first.url)
assert second.offset == first.offset, (second.offset, first.offset)
second.upload()
print(json.dumps({"offset": second.offset, "size": size}))
