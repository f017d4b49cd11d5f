/* SPDX-License-Identifier: Apache-2.0 */
/* setup - a module's own setup, run here and not in the server: its settings are those of the
 * configuration. */
#ifndef RST_CTL_SETUP_H
#define RST_CTL_SETUP_H

#include "ctl/options.h"

/* `what` of a storage section of this module; section NULL: the only one. The exit code. */
int setup_module(const struct ctl *c, const char *module, const char *section, const char *what);

#endif
