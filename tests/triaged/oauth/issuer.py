"""An issuer of tokens on loopback: client credentials, rotating refresh tokens, device codes, and introspection for Dovecot."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class LocalIssuer:
    """Counts what it gives. `life_seconds` is what it says of a token; `active` are those that introspection lets in."""

    def __init__(self) -> None:
        self.life_seconds = 3600
        self.given = 0
        self.active: set[str] = set()
        self.refresh_token = "refresh-0"
        self.asked: list[dict[str, str]] = []
        self.pending = 0  # device codes are pending so often
        self.slow_down = False
        self.error: tuple[int, dict[str, str]] | None = None
        self.raw: bytes | None = None
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = {key: values[0] for key, values in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()}
                issuer.asked.append({"path": self.path, **form})
                self.answer(*issuer.answer(self.path, form))

            def do_GET(self) -> None:
                token = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
                self.answer(200, {"active": token in issuer.active, "user": "help@corp.example", "scope": "mail"})

            def answer(self, status: int, body: Any) -> None:
                octets = issuer.raw if issuer.raw is not None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.error is not None:
            return self.error
        if path == "/device":
            return 200, {
                "device_code": "dev",
                "user_code": "ABCD-EFGH",
                "verification_uri": f"{self.url}/go",
                "interval": 1,
                "expires_in": 60,
            }
        if form.get("grant_type", "").endswith("device_code") and self.pending > 0:
            self.pending -= 1
            return 400, {"error": "slow_down" if self.slow_down else "authorization_pending"}
        if form.get("grant_type") == "refresh_token" and form.get("refresh_token") != self.refresh_token:
            return 400, {"error": "invalid_grant", "error_description": "it was used, or it is too old"}
        if form.get("grant_type") == "client_credentials" and form.get("client_secret") != "client secret":
            return 401, {"error": "invalid_client"}
        return 200, self.give(rotating=form.get("grant_type") != "client_credentials")

    def give(self, *, rotating: bool) -> dict[str, Any]:
        self.given += 1
        token = f"access-{self.given}"
        self.active.add(token)
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer", "expires_in": self.life_seconds}
        if rotating:
            self.refresh_token = f"refresh-{self.given}"
            answer["refresh_token"] = self.refresh_token
        return answer

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
