"""Every setting that a role, a database or a stranger in a pool may have changed in a session.

PostgreSQL lets users and superusers preset some two hundred. `LOCAL_SETTINGS` sets those that our
statements depend on; here is why none of the others matters. Settings of extensions, which have a
dot in their name, are not among them.
"""

from __future__ import annotations

import re

from totesys_dagster.postgres.sessions import LOCAL_SETTINGS, LOCAL_SETTINGS_SINCE

SET = {
    name.lower()
    for text in (LOCAL_SETTINGS, *LOCAL_SETTINGS_SINCE.values())
    for name in re.findall(r"SET LOCAL (\w+) TO", text)
}

# Set by the words after BEGIN, and by `SET LOCAL` in some transactions.
BY_BEGIN = {"transaction_isolation", "transaction_read_only", "transaction_deferrable"}

# Asked for by `postgres.connect`, and refused.
CHECKED = {"zero_damaged_pages", "ignore_checksum_failure"}

_HARMLESS = {
    "It decides how a plan is made or run, and not what it gives.": """
        constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost
        cursor_tuple_fraction debug_parallel_query default_statistics_target effective_cache_size
        effective_io_concurrency enable_async_append enable_bitmapscan enable_distinct_reordering
        enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin
        enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material
        enable_memoize enable_mergejoin enable_nestloop enable_parallel_append
        enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate
        enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination
        enable_seqscan enable_sort enable_tidscan force_parallel_mode from_collapse_limit geqo
        geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold
        io_combine_limit jit_above_cost jit_debugging_support jit_dump_bitcode
        jit_expressions jit_inline_above_cost jit_optimize_above_cost jit_profiling_support
        jit_tuple_deforming join_collapse_limit maintenance_io_concurrency
        max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather
        min_parallel_index_scan_size min_parallel_table_scan_size operator_precedence_warning
        parallel_leader_participation parallel_setup_cost parallel_tuple_cost plan_cache_mode
        random_page_cost recursive_worktable_factor seq_page_cost
        """,
    "It decides in which order rows come; none of our results depends on it.": """
        synchronize_seqscans
        """,
    "It bounds memory or files; a query is slower, or PostgreSQL stops it with a sentence.": """
        hash_mem_multiplier logical_decoding_work_mem maintenance_work_mem max_stack_depth
        temp_buffers temp_file_limit work_mem
        """,
    "It decides where and how new tables are stored, which is the owner's affair.": """
        default_table_access_method default_tablespace default_toast_compression
        gin_pending_list_limit temp_tablespaces wal_skip_threshold
        """,
    "It is about maintenance that we leave to the server.": """
        backend_flush_after vacuum_buffer_usage_limit vacuum_cleanup_index_scale_factor
        vacuum_cost_delay vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit
        vacuum_cost_page_miss vacuum_failsafe_age vacuum_freeze_min_age vacuum_freeze_table_age
        vacuum_max_eager_freeze_failure_rate vacuum_multixact_failsafe_age
        vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_truncate
        """,
    "It decides what is logged, shown or counted about a session.": """
        application_name backtrace_functions client_min_messages compute_query_id
        debug_pretty_print debug_print_parse debug_print_plan debug_print_rewritten
        escape_string_warning log_connections log_disconnections log_duration
        log_error_verbosity log_executor_stats log_lock_failures log_lock_waits
        log_min_duration_sample log_min_duration_statement log_min_error_statement
        log_min_messages log_parameter_max_length log_parameter_max_length_on_error
        log_parser_stats log_planner_stats log_replication_commands log_statement
        log_statement_sample_rate log_statement_stats log_temp_files
        log_transaction_sample_rate md5_password_warnings trace_notify trace_sort
        track_activities track_cost_delay_timing track_functions track_io_timing
        track_wal_io_timing update_process_title
        """,
    "It is about the line between client and server; one that breaks is noticed.": """
        client_connection_check_interval tcp_keepalives_count tcp_keepalives_idle
        tcp_keepalives_interval tcp_user_timeout wal_sender_timeout post_auth_delay
        """,
    "It is about roles, functions, files and libraries, which are the server's owner's affair.": """
        allow_in_place_tablespaces allow_system_table_mods check_function_bodies
        createrole_self_grant dynamic_library_path event_triggers extension_control_path
        extension_destdir file_copy_method icu_validation_level lo_compat_privileges
        local_preload_libraries output_plugin_libraries password_encryption scram_iterations
        session_preload_libraries
        """,
    "It is about the write-ahead log; what a crash takes back is loaded again from the lake.": """
        commit_delay commit_siblings synchronous_commit wal_compression wal_consistency_checking
        wal_init_zero wal_recycle
        """,
    "It is for the developers of PostgreSQL, and changes no result.": """
        debug_discard_caches debug_invalidate_system_caches_always
        debug_logical_replication_streaming ignore_system_indexes logical_replication_mode
        """,
    "It is what a transaction begins with; ours say it themselves, but that it may write.": """
        default_transaction_deferrable default_transaction_isolation
        """,
    "Somebody wants nothing to be written: the load stops with a sentence.": """
        default_transaction_read_only
        """,
    "It ends a session between two transactions, with a sentence that names it.": """
        idle_session_timeout
        """,
    "It is how things are read that none of our statements has: a quote after a backslash, the name"
    " of a time zone, NULL in an array, a comparison with NULL, a search for words.": """
        array_nulls backslash_quote default_text_search_config timezone_abbreviations
        transform_null_equals
        """,
    "No function or pattern of ours prints by it.": """
        lc_numeric lc_time xmlbinary xmloption
        """,
    "Failures are distinguished by their codes, and where they have none by words of English.": """
        lc_messages
        """,
    # A column of type money holds cents by the locale that it was written under, so another one
    # would print another amount. No column of the catalogue has that type.
    "It prints the type money, of which we archive what the database makes of it.": """
        lc_monetary
        """,
    "It switches triggers and foreign keys off, on which no promise of ours rests.": """
        session_replication_role
        """,
    "A deadlock is found sooner or later, and the load is repeated.": """
        deadlock_timeout
        """,
    "Polls ask for it; without counters, they look at every table.": """
        track_counts
        """,
    "Counters are read once in a transaction.": """
        stats_fetch_consistency
        """,
    "A view that may not be read is a sentence.": """
        restrict_nonsystem_relation_kind
        """,
}

HARMLESS = {name: why for why, names in _HARMLESS.items() for name in names.split()}
