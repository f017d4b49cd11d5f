/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind - from a checked configuration to a working one: modules loaded, instances opened, gates
 * made, TLS contexts read, and the proof that permits < workers. Main thread.
 */
#ifndef RST_BIND_BIND_H
#define RST_BIND_BIND_H

#include "conf/conf.h"

/* Loads modules and checks all sections; no instance is opened, nothing changes. Errors of file,
 * modules, certificates and the permit arithmetic (with the numbers, and the W that would do)
 * are all reported. restanted -t and restantectl check-conf stop here. */
bool bind_check(struct conf *c, struct conf_errors *e);

/* bind_check, then opens. `old` (may be NULL): unchanged sections keep their instance. False:
 * all that was opened goes with the caller's conf_put. tool: purpose TOOL, no background work. */
bool bind_open(struct conf *c, struct conf *old, bool tool, struct conf_errors *e);

#endif
