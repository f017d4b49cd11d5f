/* SPDX-License-Identifier: Apache-2.0 */
/* dump - a configuration written as a file again: what is in force, defaults included. */
#ifndef RST_CONF_DUMP_H
#define RST_CONF_DUMP_H

#include <stdio.h>

#include "conf/conf.h"

/* Writes the effective configuration, defaults included, as a configuration file; of the
 * modules' settings, which may be secrets, only where they stand. */
void conf_dump(const struct conf *c, FILE *to);

#endif
