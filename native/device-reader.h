/* The requests of /dev/fuse (device-reader.c), as fuse-device.c hands them to Node. */
#ifndef DEVICE_READER_H
#define DEVICE_READER_H

#include <node_api.h>

napi_value reader_start(napi_env env, napi_callback_info info);
napi_value reader_stop(napi_env env, napi_callback_info info);

#endif
