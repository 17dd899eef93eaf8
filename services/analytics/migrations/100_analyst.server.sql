-- What an analyst may do on a server. Users are made by whoever runs it, with this role and a password of their own:
--   CREATE USER anna IDENTIFIED BY '…' DEFAULT ROLE recur_analyst; GRANT recur_analyst TO anna;
-- readonly = 2: clients must be able to say how a result looks; the constraints keep the bounds where they are.
CREATE SETTINGS PROFILE recur_analyst SETTINGS
    readonly = 2 CONST,
    allow_ddl = 0 CONST,
    max_execution_time = 30 MIN 0.001 MAX 30,
    max_memory_usage = 1073741824 MIN 1 MAX 1073741824,
    max_memory_usage_for_user = 2147483648 CONST,
    max_concurrent_queries_for_user = 4 CONST,
    max_threads = 2 MIN 1 MAX 2,
    max_result_rows = 1000000 MIN 1 MAX 1000000,
    max_result_bytes = 67108864 MIN 1 MAX 67108864,
    result_overflow_mode = 'throw' CONST,
    timeout_overflow_mode = 'throw' CONST,
    allow_introspection_functions = 0 CONST;

CREATE ROLE recur_analyst SETTINGS PROFILE 'recur_analyst';

-- Nothing of system beyond what a server shows everybody about what they may read; no files, URLs or other servers.
GRANT SELECT, dictGet ON recur.* TO recur_analyst;

CREATE QUOTA recur_analyst FOR INTERVAL 1 hour MAX queries = 7200, execution_time = 3600 TO recur_analyst;
