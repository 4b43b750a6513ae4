# Plain cargo lines, with names. `just check` is exactly what CI runs.

# List the recipes.
default:
    @just --list

# Everything that CI checks.
check:
    ./tests/run

# The tests alone.
test *ARGS:
    cargo test {{ARGS}}

# Format and lint.
lint:
    cargo fmt
    cargo clippy --all-targets -- -D warnings

# The proxy in front of a stand-in Onezone, with curl lines to paste.
demo:
    cargo run --release -- demo

# Every benchmark, or the named one.
bench *ARGS:
    cargo bench {{ARGS}}

# Every fuzz target for SECONDS each, or the named ones (needs cargo-fuzz).
fuzz SECONDS="60" *TARGETS:
    ./fuzz/run {{SECONDS}} {{TARGETS}}

# The mixed load with reloads and restarts, for so many seconds.
soak SECONDS="3600":
    ./tests/soak {{SECONDS}}

# Licences, advisories and sources of the dependency tree (needs cargo-deny).
deny:
    cargo deny check
