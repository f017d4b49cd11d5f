/* SPDX-License-Identifier: Apache-2.0 */
/* setup - the settings, and an instance made of them. */
#ifndef SQL_SETUP_H
#define SQL_SETUP_H

#include <restante/module.h>

int32_t setup_check(const struct pm_open *open);
int32_t setup_open(const struct pm_open *open, void **ret_inst);
void setup_close(void *inst);
#define SQL_OPTIONS 23
extern const struct pm_option setup_options[SQL_OPTIONS];

#endif
