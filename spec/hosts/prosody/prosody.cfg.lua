-- A Prosody that answers http://127.0.0.1:PORT/jobs with the latest indexing jobs.
run_as_root = true -- only for root
daemonize = false
pidfile = ENV_WORK .. "/prosody.pid"
data_path = ENV_WORK
certificates = ENV_WORK
log = { warn = "*stderr" }

plugin_paths = { ENV_FOLDER }
modules_enabled = { "http", "jobs" }
modules_disabled = { "s2s", "c2s", "offline" }

interfaces = { "127.0.0.1" }
http_ports = { tonumber(ENV_PORT) }
https_ports = {}

VirtualHost "localhost"
