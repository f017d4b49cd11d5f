/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logger - the log thread: lines come by a bounded ring and go to standard error, a file or
 * syslog. A slow sink delays nobody; lines that do not fit are dropped - debug and info first,
 * audit lines last - and counted, and the count is logged. Main starts and stops it.
 */
#ifndef RST_LOG_LOGGER_H
#define RST_LOG_LOGGER_H

#include <stdbool.h>

#include "conf/conf.h"

/* Takes over as sink of base/log. False: no thread, or the file cannot be opened; the reason is
 * on standard error. */
bool logger_start(const struct conf *c);
/* The log file is opened again under its name (after a rotation). Any thread. */
void logger_reopen(void);
/* Writes the lines that are there, ends the thread; lines go to standard error again. A pipe that
 * nobody reads keeps it for a few seconds, and loses what it has no room for. Fine when not
 * started. */
void logger_stop(void);
/* Lines dropped since the start. */
unsigned long long logger_dropped(void);

#endif
