# SPDX-License-Identifier: Apache-2.0
"""A Badmail directory, watched from outside while servers fill it, empty it and are killed over it: which items were
ever there, whether each is as it should be, and which are there now."""
import json
import os
import threading

OVERHEAD = 1024  # octets that an item counts besides its message
FIELDS = ("sender", "reason", "code", "source", "peer", "helo", "detail")


class Item:
    def __init__(self, ident, sidecar, raw):
        self.ident, self.sidecar, self.raw = ident, sidecar, raw

    def users(self):
        """Local parts, without a tag."""
        return [r.split("@")[0].split("+")[0] for r in self.sidecar["recipients"]]


class BadBox:
    def __init__(self, path):
        self.path = path
        self.items = {"retry": {}, "refused": {}}  # id -> Item, as first seen
        self.bad = []                              # broken sidecars and pairs
        self.most = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.thread = None

    def names(self, cls):
        """id -> the suffixes of its files on disk."""
        out = {}
        for base, _, files in os.walk(os.path.join(self.path, cls)):
            for name in files:
                ident, _, suffix = name.partition(".")
                out.setdefault(ident, {})[suffix] = os.path.join(base, name)
        return out

    def _load(self, cls, ident, files):
        try:
            with open(files["json"], "rb") as f:
                text = f.read()
            with open(os.path.splitext(files["json"])[0] + ".eml", "rb") as f:
                raw = f.read()
        except FileNotFoundError:
            return None  # it went while we looked
        try:
            sidecar = json.loads(text)
            good = (sidecar["class"] == cls and sidecar["version"] == 1 and sidecar["octets"] == len(raw) and
                    all(isinstance(sidecar[k], str) for k in FIELDS) and sidecar["time_ms"] > 0 and sidecar["recipients"])
        except (ValueError, KeyError, TypeError):
            sidecar, good = None, False
        if not good:
            self.bad.append((cls, ident, text[:500]))
            return None
        return Item(ident, sidecar, raw)

    def look(self):
        """Learns about new items; an item is there when its sidecar is."""
        with self.lock:
            for cls, known in self.items.items():
                found = self.names(cls)
                for ident, files in found.items():
                    if "json" in files and ident not in known:
                        item = self._load(cls, ident, files)
                        if item:
                            known[ident] = item

    def waiting(self):
        """The items that wait now, read again, since some recipients may have been served. No server may be at work."""
        items = [self._load("retry", i, f) for i, f in self.names("retry").items() if "json" in f]
        return [x for x in items if x]

    def on_disk(self):
        """The figures that restantectl badmail stats should print, and the names of incomplete items."""
        out, halves = {}, []
        for cls in self.items:
            pairs = self.names(cls)
            halves += [f for p in pairs.values() if set(p) != {"json", "eml"} for f in p.values()]
            whole = [p["eml"] for p in pairs.values() if set(p) == {"json", "eml"}]
            out[cls + "_items"] = len(whole)
            out[cls + "_octets"] = sum(os.path.getsize(p) + OVERHEAD for p in whole)
        return out, halves

    def start(self, seconds=0.25):
        def work():
            while not self.stop.wait(seconds):
                self.look()
        self.thread = threading.Thread(target=work)
        self.thread.start()

    def end(self):
        self.stop.set()
        if self.thread:
            self.thread.join()
            self.thread = None
