/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services - the functions modules may call (struct pm_host), one record for each section name: log
 * lines carry the section, counters are its own. Records live as long as the process: an old
 * instance of a reloaded section still counts. Any thread.
 */
#ifndef RST_BIND_SERVICES_H
#define RST_BIND_SERVICES_H

#include <stdint.h>

#include <restante/module.h>

/* The record of a section; NULL: no memory. Shared with tools. */
const struct pm_host *services_host(const char *section);

/* All counters that modules made through host->count: fn(section, name, value). */
void services_each_counter(void (*fn)(const char *section, const char *name, int64_t value,
				      void *ctx),
			   void *ctx);

#endif
