"""What every gRPC server of ours is started with, so that a connection costs within bounds."""

from __future__ import annotations

SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port that is taken is an error
    ("grpc.max_concurrent_streams", 128),  # calls of one connection at once
    ("grpc.max_connection_idle_ms", 300_000),  # without a call
    ("grpc.server_handshake_timeout_ms", 15_000),
    ("grpc.keepalive_time_ms", 60_000),  # a client that has gone without a word is found out
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
)
