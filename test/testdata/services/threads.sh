python3 -u /test/threads.py
