# Writes the configuration of a one-machine Swift into $directory/etc (sourced by swift-up, whose variables it uses).

write_swift_config() {
  local etc=$directory/etc common
  common="swift_dir = $etc
user = $(id -un)
bind_ip = 127.0.0.1
devices = $directory/srv
mount_check = false
workers = 0
log_level = INFO
recon_cache_path = $directory/cache"

  cat >"$etc/swift.conf" <<CONF
[swift-hash]
swift_hash_path_prefix = lab
swift_hash_path_suffix = lab

[swift-constraints]
max_file_size = ${SWIFT_MAX_FILE_SIZE:-5368709122}

[storage-policy:0]
name = default
default = yes
CONF
  [ -z "${SWIFT_SECOND_POLICY:-}" ] || printf '\n[storage-policy:1]\nname = %s\n' "$SWIFT_SECOND_POLICY" >>"$etc/swift.conf"
  write_storage_server object "$object_port"
  write_storage_server container "$container_port"
  write_storage_server account "$account_port"
  write_updater object-updater
  write_updater container-updater
  write_expirer
  write_proxy
}

write_storage_server() {
  cat >"$etc/$1.conf" <<CONF
[DEFAULT]
$common
bind_port = $2
fallocate_reserve = ${SWIFT_FALLOCATE:-1%}

[pipeline:main]
pipeline = healthcheck $1-server

[app:$1-server]
use = egg:swift#$1
container_update_timeout = ${SWIFT_UPDATE_TIMEOUT:-1}

[filter:healthcheck]
use = egg:swift#healthcheck
CONF
}

write_updater() {
  cat >"$etc/$1.conf" <<CONF
[DEFAULT]
$common

[$1]
interval = 5
concurrency = 1
updater_workers = 1
CONF
}

write_expirer() {
  cat >"$etc/object-expirer.conf" <<CONF
[DEFAULT]
$common

[object-expirer]
interval = 5
concurrency = 1

[pipeline:main]
pipeline = catch_errors cache proxy-server

[app:proxy-server]
use = egg:swift#proxy

[filter:cache]
paste.filter_factory = memory_cache:filter_factory

[filter:catch_errors]
use = egg:swift#catch_errors
CONF
}

# Who a token belongs to: Keystone's middlewares, or Swift's own table of users.
authentication_filters() {
  if [ -n "$keystone" ]; then
    cat <<CONF
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = $keystone
auth_url = $keystone
auth_type = password
user_domain_id = default
project_domain_id = default
project_name = service
username = swift
password = swift
delay_auth_decision = true
include_service_catalog = false
cache = swift.cache
token_cache_time = ${SWIFT_TOKEN_CACHE:-300}

[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
project_reader_roles = reader
CONF
  else
    cat <<CONF
[filter:tempauth]
use = egg:swift#tempauth
token_life = $token_life
user_admin_admin = admin .admin .reseller_admin
user_test_tester = testing .admin
user_test_tester3 = testing3
user_test2_tester2 = testing2 .admin
CONF
  fi
}

ratelimit_filter() {
  [ -n "${SWIFT_RATELIMIT:-}" ] || return 0
  cat <<CONF
[filter:ratelimit]
use = egg:swift#ratelimit
container_ratelimit_0 = $SWIFT_RATELIMIT
max_sleep_time_seconds = 1
CONF
}

s3_filter() {
  [ -n "${SWIFT_S3:-}" ] || return 0
  cat <<CONF
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
CONF
}

write_proxy() {
  local auth=tempauth ratelimit=${SWIFT_RATELIMIT:+ratelimit} filter
  [ -z "$keystone" ] || auth='authtoken keystoneauth'
  # before the authentication, which it prepares
  auth="${SWIFT_S3:+s3api} $auth"
  {
    cat <<CONF
[DEFAULT]
$common
bind_port = $port

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk tempurl $ratelimit $auth copy container-quotas account-quotas slo dlo versioned_writes symlink proxy-logging proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# With one node a single 507, or ten time-outs, would make Swift answer 503 for a minute (the default) to whatever follows.
error_suppression_interval = 1
node_timeout = ${SWIFT_NODE_TIMEOUT:-10}
recheck_account_existence = ${SWIFT_RECHECK:-60}
recheck_container_existence = ${SWIFT_RECHECK:-60}

[filter:cache]
paste.filter_factory = memory_cache:filter_factory

[filter:slo]
use = egg:swift#slo
min_segment_size = 1

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true

CONF
    for filter in catch_errors gatekeeper healthcheck proxy-logging listing_formats bulk tempurl copy container-quotas account-quotas dlo symlink; do
      # the entry points are named with underscores
      printf '[filter:%s]\nuse = egg:swift#%s\n' "$filter" "${filter//-/_}"
    done
    authentication_filters
    ratelimit_filter
    s3_filter
  } >"$etc/proxy.conf"
}
