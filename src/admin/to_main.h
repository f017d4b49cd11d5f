/* SPDX-License-Identifier: Apache-2.0 */
/*
 * to_main - requests of restantectl to the main thread: only main calls open, check and close of
 * modules.
 *
 * Main sits in sigtimedwait; a request is stored and SIGUSR2 is sent to the process, which main
 * alone takes. Main then calls to_main_serve().
 */
#ifndef RST_ADMIN_TO_MAIN_H
#define RST_ADMIN_TO_MAIN_H

#include <stdbool.h>

/* Main, before admin_start: the function that reloads. Errors, one a line, malloc'd, in
 * *ret_errors. */
void to_main_init(bool (*reload)(char **ret_errors));

/* Any thread but main: asks and waits, at most 60 s. One after the other. */
bool to_main_reload(char **ret_errors);
/* Admin thread: asks the server to end; returns at once. */
void to_main_drain(void);

/* Main: nobody is served any more; those who wait are told. */
void to_main_end(void);

/* Main, after SIGUSR2: serves the request. True: the server is to drain and end. */
bool to_main_serve(void);

#endif
