/* SPDX-License-Identifier: Apache-2.0 */
/* offline - the verbs that need no server: check-conf, modules doc. */
#ifndef RST_CTL_OFFLINE_H
#define RST_CTL_OFFLINE_H

#include "conf/conf.h"
#include "ctl/options.h"

/* Errors of a configuration on standard error, for struct conf_errors. */
void offline_error(void *ctx, const struct conf_where *w, const char *text);

/* Exit codes. */
int offline_check_conf(const struct ctl *c);
int offline_module_doc(const struct ctl *c, const char *module);

#endif
