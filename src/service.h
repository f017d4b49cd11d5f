/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service - the server as a whole: started, reloaded, drained, stopped, in the right order.
 * Main thread only.
 */
#ifndef RST_SERVICE_H
#define RST_SERVICE_H

#include <stdbool.h>

/* Reads and checks the configuration and its modules; all errors go to standard error. The exit
 * code, of sysexits.h like all here. dump: without errors, the settings in force go to standard
 * output. */
int service_check(const char *conf_file, bool dump);

/* Everything up to serving. 0, or an exit code; the reason is on standard error. */
int service_start(const char *conf_file);

/* All or nothing: any error keeps the old configuration. Errors, one a line, in *ret_errors
 * (malloc'd; NULL when there are none); they are logged as well. */
bool service_reload(char **ret_errors);

/* Log files are opened again under their names. */
void service_reopen_logs(void);

/* Once a second: closes instances that only replaced snapshots used. */
void service_tick(void);

/* Listeners closed, sessions not logged in are ended, the others asked to. */
void service_drain(void);
/* True when the last session is gone. */
bool service_drained(void);
/* Milliseconds sessions are given to QUIT. */
long service_drain_ms(void);
/* Ends all sessions without commit; a running commit is awaited. Returns the exit code. */
int service_stop(void);

#endif
