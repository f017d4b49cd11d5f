/* SPDX-License-Identifier: Apache-2.0 */
/* job - work that the server does in the background: started, watched until it is done, shown. */
#ifndef RST_CTL_JOB_H
#define RST_CTL_JOB_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/options.h"

/*
 * Sends the request, which is taken over; when that started a job, waits for its last report and
 * shows it, else the answer: by `view`, or as JSON. progress: on standard error, now and then. The
 * exit code.
 */
int job_run(const struct ctl *c, json_t *request, bool progress,
	    void (*view)(const json_t *answer));

#endif
