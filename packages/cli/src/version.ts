/** What this program is, and which etcd it speaks like. */
export const KEELSON_VERSION = '0.1.0';
export const ETCD_VERSION = '3.7.1';
export const API_VERSION = '3.7';
