/*
 * find_helper.h - which program serves as the helper of process pools; see
 * also lp_pool_find_helper.
 */
#ifndef LP_API_FIND_HELPER_H
#define LP_API_FIND_HELPER_H

/* Note that this program's main calls lpool_helper_main. */
void lp_helper_announce(void);

#endif
