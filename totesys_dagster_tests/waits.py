"""Where a process of the product can wait: for how long at most, and how that ends.

`test_waits.py` finds such places in the syntax of the code and holds this table against them. A
limit that is a name is a constant of that module. What takes a lock of Python's, or joins threads,
waits for work of the same process only, whose own waits are in this table.
"""

OWN_WORK = "as long as the work of this process that it waits for"
NOTHING = "it ends by itself, in nothing that a person has to know"

# `file function call` → the limit, and the sentence or the outcome.
WAITS: dict[str, tuple[str, str]] = {
    # Mails and messages.
    "alerting/notify.py _connect ssl.create_default_context": ("at once", "reads files"),
    "alerting/notify.py _connect smtplib.SMTP_SSL": ("TIMEOUT_SECONDS", "the tick says so"),
    "alerting/notify.py _connect smtplib.SMTP": ("TIMEOUT_SECONDS", "the tick says so"),
    "alerting/notify.py publish boto3.client": ("TIMEOUT_SECONDS", "the tick says so"),
    # Secrets.
    "aws_secrets.py - threading.Lock": (OWN_WORK, NOTHING),
    "aws_secrets.py _fetch get_secret_value": ("ATTEMPTS * 20 s", "… cannot be read (…): check …"),
    "aws_secrets.py _fetch boto3.client": ("at once", "opens no connection yet"),
    # Commands that are for as long as a person wants them.
    "commands/serve.py _require_to_be_alone locks.acquire": (
        "at once",
        "… is already running for …",
    ),
    "commands/read.py psql subprocess.run": ("until psql is left", "psql's own prompt"),
    "dagster_home.py _require_answers psycopg.connect": ("CONNECT_SECONDS", "Dagster cannot use …"),
    "entry.py become os.execv": ("until Ctrl-C", "it was said that Ctrl-C stops everything"),
    "entry.py _require_utf8 os.execv": ("at once", "the same command starts again"),
    # What ticks wait for.
    "ingestion/poll.py transaction_ends time.sleep": ("3.5 s, by its caller", "the tick goes on"),
    "orchestration/bring_files.py _bring time.sleep": ("SETTLE_SECONDS", "the run goes on"),
    "orchestration/planning.py one_ends time.sleep": ("3.5 s, by its caller", "the tick goes on"),
    # The lake.
    "lake/probe.py - threading.Lock": (OWN_WORK, NOTHING),
    "lake/probe.py _prove ThreadPoolExecutor": (OWN_WORK, "… cannot be used: …"),
    "lake/probe.py _together threading.Barrier": ("START_SECONDS", "… cannot be used: …"),
    "lake/probe.py _together.wait_and_do start.wait": ("START_SECONDS", "… cannot be used: …"),
    "lake/probe.py _together done.result": (OWN_WORK, "… cannot be used: …"),
    "lake/s3.py _new_client session.client": ("at once", "opens no connection yet"),
    "lake/s3.py Bucket._ask time.sleep": ("sum(PAUSES), and READ_SECONDS each", "… cannot be used"),
    "lake/store.py Store.put time.sleep": ("sum(PAUSES)", "… is said to exist, but cannot be read"),
    "parallel.py import_ahead threading.Thread": (OWN_WORK, NOTHING),
    "parallel.py ahead ThreadPoolExecutor": (OWN_WORK, "the exception of the work"),
    "parallel.py ahead result": (OWN_WORK, "the exception of the work"),
    "parallel.py ahead pool.shutdown": (OWN_WORK, "the exception of the work"),
    # A look at the source, which a report does not wait for.
    "operations/source_look.py start threading.Thread": ("LIMIT_SECONDS", "it does not answer …"),
    "operations/source_look.py start.finish thread.join": ("LIMIT_SECONDS", "it does not answer …"),
    # Runs that are forked.
    "launching/fork_server.py ForkServer.__init__ threading.Lock": (OWN_WORK, NOTHING),
    "launching/fork_server.py ForkServer.start fork.sendall": ("START_SECONDS", "the run fails"),
    "launching/fork_server.py ForkServer._fork socket.send_fds": ("at once", "one byte"),
    "launching/fork_server.py ForkServer._fork ours.recv": ("START_SECONDS", "No process was …"),
    "launching/fork_server.py ForkServer._start subprocess.Popen": ("does not wait", NOTHING),
    "launching/fork_server.py ForkServer.stop _process.wait": ("STOP_SECONDS", NOTHING),
    "launching/fork_server.py main json.load": ("while its daemon lives", NOTHING),
    "launching/fork_server.py main socket.recv_fds": ("while its daemon lives", NOTHING),
    "launching/fork_server.py _bury os.waitpid": ("at once (WNOHANG)", NOTHING),
    "launching/fork_server.py _become_run launcher.makefile": ("while its daemon lives", NOTHING),
    "launching/fork_server.py _become_run launcher.sendall": ("at once", "a few bytes"),
    # The embedded server.
    "local/launch.py Launch.run looks": ("START_SECONDS", "The embedded PostgreSQL server of …"),
    "local/launch.py Launch._answers psycopg.connect": ("CONNECT_SECONDS", "another look"),
    "local/launch.py Launch._supervise subprocess.Popen": ("does not wait", NOTHING),
    "local/launch.py _is_free locks.acquire": ("at once (LOCK_NB)", "another look"),
    "local/locks.py acquire fcntl.flock": ("at once (LOCK_NB)", "None"),
    "local/locks.py acquire_within looks": ("what its caller says", "… is locked by process …"),
    "local/locks.py acquire_within acquire": ("at once (LOCK_NB)", "another look"),
    "local/locks.py exclusive acquire_within": ("what its caller says", "… is locked by …"),
    "local/making.py initialise account.run": ("INITDB_SECONDS", "… took longer than …"),
    "local/making.py reset_passwords account.run": ("RESET_SECONDS", "… took longer than …"),
    "local/postmaster.py clear looks": ("ORPHAN_SECONDS", "they are ended"),
    "local/programs.py Account.run announced": ("what its caller says", "… took longer than …"),
    "local/programs.py Account.run subprocess.run": ("what its caller says", "… took longer …"),
    "local/programs.py Account.can_enter self.run": ("LOOK_SECONDS", "… took longer than …"),
    "local/programs.py reachable subprocess.run": ("LOOK_SECONDS", "a few hundred files"),
    "local/server.py Server.connect PatientConnection.connect": ("CONNECT_SECONDS", "… broke off"),
    "local/server.py start locks.exclusive": ("LOCK_SECONDS", "… is locked by process …"),
    "local/server.py _stopped locks.exclusive": ("LEAVE_SECONDS", "… is locked by process …"),
    "local/server.py _hold locks.acquire_within": ("LEAVE_SECONDS", "… is locked by process …"),
    "local/server.py _alone looks": ("LEAVE_SECONDS", "… did not stop within … seconds: …"),
    "local/server.py _alone locks.acquire": ("at once (LOCK_NB)", "another look"),
    "local/server.py remove locks.exclusive": ("LOCK_SECONDS", "… is locked by process …"),
    "local/stack.py start locks.exclusive": ("DATABASES_SECONDS", "… is locked by process …"),
    "local/storage.py - threading.Lock": (OWN_WORK, NOTHING),
    "local/storage.py _forget threading.Lock": (OWN_WORK, NOTHING),
    "local/storage.py _engine db.create_engine": ("BUSY_SECONDS", "… cannot be used (… locked)"),
    "local/storage.py _LogWatch.on_modified time.sleep": ("LOG_SECONDS", NOTHING),
    "local/storage.py _make locks.exclusive": ("MAKING_SECONDS", "… is locked by process …"),
    "local/supervisor.py _in_use locks.acquire": ("at once (LOCK_NB)", "another look"),
    "local/supervisor.py stop time.sleep": ("2 * STOP_SECONDS", "… did not stop within …"),
    "local/supervisor.py main locks.exclusive": ("LOCK_SECONDS", "… is locked by process …"),
    "local/supervisor.py main subprocess.Popen": ("does not wait", NOTHING),
    "local/supervisor.py main time.sleep": ("while the server is used", NOTHING),
    "local/attend.py Attended.__init__ subprocess.Popen": ("does not wait", NOTHING),
    "local/attend.py Attended._end _process.wait": ("REST_SECONDS", "it was killed before"),
    "local/attend.py _write select.select": ("SAY_SECONDS", "tried again until it is to end"),
    "local/dev.py end_with.wait time.sleep": ("END_SECONDS", "then the group is killed"),
    "local/dev.py end_with threading.Thread": ("until Ctrl-C", "it waits in a thread of its own"),
    "processes.py command subprocess.run": ("PS_SECONDS", "where there is no /proc"),
    # The databases.
    "postgres/certificates.py trouble ssl.create_default_context": ("at once", "reads files"),
    "postgres/certificates.py trouble socket.create_connection": ("SECONDS", "what libpq says"),
    "postgres/certificates.py trouble plain.sendall": ("SECONDS", "what libpq says"),
    "postgres/certificates.py trouble plain.recv": ("SECONDS", "what libpq says"),
    "postgres/patience.py PatientConnection.wait wait": ("STATEMENT_SECONDS", "… gave no answer …"),
    "postgres/patience.py _answers PGconn.ping": ("PING_SECONDS", "the server gave no answer …"),
    "postgres/sessions.py - lock_timeout": (
        "10 s",
        "… another session has held a lock for too long; …",
    ),
    "postgres/sessions.py _open PatientConnection.connect": ("CONNECT_SECONDS", "… points to …"),
    "postgres/sessions.py beside threading.Timer": ("CONNECT_SECONDS", "hangs up"),
    "postgres/sessions.py _hang_up line.shutdown": ("at once", "hangs up"),
    "postgres/targets.py resolved PGconn.connect_start": ("at once", "refused before it connects"),
    "ingestion/source_view.py _lock LOCK TABLE": (
        "10 s",
        "… another session has held a lock for too long; …",
    ),
    "operations/erase.py require_ready looks": ("CATCH_UP_SECONDS", "… is not up to date …"),
    "operations/rebuild.py only_one pg_try_advisory": ("at once", "Another rebuild of this …"),
    "operations/renew.py renew time.sleep": ("LONGEST_SECONDS", "the next look finds it due"),
    "warehouse/ledger.py - pg_try_advisory": ("at once", "another look"),
    "warehouse/ledger.py _lock looks": ("LOCK_SECONDS", "Another load or migration of …"),
    "warehouse/ledger.py exclusive lock_timeout": ("LOCK_SECONDS", "… somebody holds a lock …"),
    "warehouse/load.py load_batch.load_once lock_timeout": ("LOCK_TIMEOUT", "A table of the …"),
    "warehouse/load.py _again_after_a_conflict time.sleep": (
        "sum(CONFLICT_PAUSES)",
        "PostgreSQL …",
    ),
    # Exchange rates.
    "rates/client.py Client.answers self.sleep": ("DAY_SECONDS", "the check `quoted` says so"),
    "rates/client.py _bounded threading.Thread": ("REQUEST_SECONDS", "… did not answer in time"),
    "rates/client.py _bounded thread.join": ("REQUEST_SECONDS", "… did not answer in time"),
    "rates/client.py _get session.get": ("REQUEST_SECONDS", "… did not answer in time"),
    # The settings, and the helpers of all of these.
    "settings.py - threading.RLock": (OWN_WORK, NOTHING),
    "waiting.py looks time.sleep": ("what its caller says", "what its caller says"),
    "waiting.py announced threading.Timer": ("what its caller says", "what its caller says"),
    "waiting.py announced timer.join": ("at once", "it was cancelled"),
}

# Where signals are sent, and why that reaches nobody else.
SIGNALS: dict[str, str] = {
    "launching/fork_server.py ForkServer.stop _process.kill": "its own child",
    "launching/launcher.py WatchedRunLauncher.terminate terminate": "Dagster's own",
    "local/attend.py Attended._send os.killpg": "the group of its own child",
    "local/dev.py end_with.wait os.killpg": "its own group",
    "web/server.py serve one.terminate": "its own children",
    "processes.py is_there os.kill": "signal 0, which asks",
    "processes.py send os.kill": "proved, where there are no descriptors of processes",
    "processes.py send signal.pidfd_send_signal": "proved, and by a descriptor",
}
