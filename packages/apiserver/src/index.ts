export { JsonFloat, isJsonObject, type Json, type JsonArray, type JsonObject } from './api/json.ts';
export {
  apiVersionOf,
  describeResource,
  parseApiVersion,
  type GroupResource,
  type GroupVersion,
  type GroupVersionKind,
  type GroupVersionResource,
  type KubeObject,
  type ListMeta,
  type ManagedFieldsEntry,
  type ObjectMeta,
  type OwnerReference,
} from './api/meta.ts';
export type {
  FieldSchema,
  ListSchema,
  MapSchema,
  ScalarName,
  ScalarSchema,
  StructSchema,
  TypeSchema,
  UntypedSchema,
} from './schema/type-schema.ts';
export type { ApiRequest, ApiResponse, Filter, Handler, Peer, RequestContext } from './api/exchange.ts';
export { pathSegments, requestInfo, type RequestInfo } from './api/request-info.ts';
export {
  labelSelectorText,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  requirementsOf,
  SelectorError,
  type LabelSelector,
  type Requirement,
} from './api/selectors.ts';
export {
  ApiError,
  hasReason,
  statusObject,
  type FieldError,
  type Status,
  type StatusCause,
  type StatusDetails,
  type StatusReason,
} from './api/status.ts';
export type { AuthorizationAttributes, Authorizer, Decision, UserInfo } from './api/user-info.ts';
export { readEnvelope, writeEnvelope, isEnvelope, type Envelope } from './codec/envelope.ts';
export { JsonSyntaxError, readJson } from './codec/json-reader.ts';
export { writeJson } from './codec/json-writer.ts';
export { ProtobufCodec } from './codec/protobuf.ts';
export { ProtobufError } from './codec/protobuf-wire.ts';
export { TypeTable } from './schema/type-table.ts';
export { canonicalQuantity, Quantity, QuantityError } from './api/quantity.ts';
export { conform, TypedError } from './codec/typed.ts';
export { EVERYTHING, matches, selectsEverything } from './storage/storage.ts';
export { hasCode, StorageError, toApiError, type StorageErrorCode } from './storage/storage-error.ts';
export { aggregatedRules, sameRules } from './authz/aggregation.ts';
export { authorize } from './authz/authorize.ts';
export { bootstrapPolicy, type BootstrapPolicy } from './authz/bootstrap-policy.ts';
export { ALWAYS_ALLOW, ALWAYS_DENY, AuthorizerChain, type Mode } from './authz/chain.ts';
export { EscalationCheck } from './authz/escalation.ts';
export { impersonate } from './authz/impersonate.ts';
export { RbacAuthorizer } from './authz/rbac.ts';
export { RbacObjects } from './authz/rbac-objects.ts';
export { reconcileBinding, reconcileRole } from './authz/reconcile.ts';
export { ObjectCodec } from './codec/object-codec.ts';
export { Door, type DoorOptions } from './http/door.ts';
export { Listener, type ListenerOptions } from './http/listener.ts';
export { MemoryBackend, type MemoryBackendOptions } from './storage/memory-storage.ts';
export { builtInCodec, customCodec } from './storage/object-codec.ts';
export { builtInPrefix, customPrefix, listKey, objectKey } from './storage/keys.ts';
export { parentManagedFields, scaleManagedFields, type ReplicasPaths } from './patch/managed-fields-scale.ts';
export { applyPatch, trackUpdate, type FieldOptions } from './patch/server-side-apply.ts';
export { EtcdBackend, type EtcdBackendOptions } from './storage/etcd-storage.ts';
export { CertificateAuthority, type CertificatePair } from './pki/authority.ts';
export { requestNames, SigningError, type RequestNames } from './pki/requested-certificate.ts';
export { kubeconfig, type Credentials, type KubeconfigFacts } from './pki/kubeconfig.ts';
export { CachedBackend, type CachedBackendOptions } from './storage/cacher-backend.ts';
export { ApiServer, type ApiServerOptions } from './server.ts';
export { authenticate, type AuthenticateOptions } from './authn/authenticate.ts';
export { AuthenticationError, firstRequest, firstToken } from './authn/authenticator.ts';
export {
  jwtTokens,
  readAuthenticationConfig,
  type AuthenticationConfig,
} from './authn/authentication-config.ts';
export { BearerToken, WebSocketToken } from './authn/bearer-token.ts';
export { BootstrapTokens } from './authn/bootstrap-token.ts';
export { CertificateChain } from './authn/certificate-chain.ts';
export { OidcTokens, type OidcOptions } from './authn/oidc.ts';
export { proxyHeaders, RequestHeaderUsers, type RequestHeaderOptions } from './authn/request-header.ts';
export { reviewSelf, reviewToken } from './authn/reviews.ts';
export { ServiceAccountTokens, type TokenLookups } from './authn/service-account.ts';
export { TokenCache } from './authn/token-cache.ts';
export { TokenFile } from './authn/token-file.ts';
export { discoveryDocument, keySet, TokenIssuer } from './authn/token-request.ts';
export { WebhookTokens, type PostReview } from './authn/webhook-token.ts';
export { X509Users } from './authn/x509.ts';
export {
  reviewLocalSubjectAccess,
  reviewSelfAccess,
  reviewSelfRules,
  reviewSubjectAccess,
} from './authz/reviews.ts';
export { builtInResources } from './registry/kinds/built-in.ts';
export { NodeAuthorizer } from './authz/node-authorizer.ts';
export { readAuthorizationConfig, type ConfiguredMode } from './authz/authorization-config.ts';
export { WebhookAuthorizer, type PostAccessReview } from './authz/webhook.ts';
export { NodeGraph } from './authz/node-graph.ts';
export { Access, type AccessOptions } from './bootstrap/access.ts';
export { withAccessResources } from './bootstrap/access-resources.ts';
export { Bootstrap, type BootstrapOptions } from './bootstrap/bootstrap.ts';
export { TokenObjects } from './bootstrap/token-objects.ts';
export { main, type Beside, type MainOptions, type Streams } from './main.ts';
export { KubeApiServer, type KubeApiServerOptions } from './kube-apiserver.ts';
export { processWorld, readFile, type ProcessWorld } from './process-world.ts';
export { parseConfig, type Parsed } from './options/command-line.ts';
export type { ServerConfig } from './options/config.ts';
export { CredentialFolder, CredentialMemory, type CredentialStore } from './credentials/credential-store.ts';
export { gatherCredentials, type ServerCredentials } from './credentials/credentials.ts';
export { requestSigners, type RequestSigners } from './assembly/request-signers.ts';
export { servingNames, type Machine } from './assembly/serving-names.ts';
export type { CallAnswer, CallOptions } from './http/in-process.ts';
export {
  AdmissionDenied,
  type AdmissionFunction,
  type AdmissionRequest,
  type Mutated,
} from './admission/functions/admission-function.ts';
export type { Operation as AdmissionOperation } from './admission/admission.ts';
export { quotaAccounts } from './admission/quota/accounts.ts';
export { BaseEnvironment, COMPATIBILITY_VERSION, CURRENT_VERSION } from './cel/environment.ts';
export { compile, type Compilation, type Outcome, type Program } from './cel/program.ts';
export { costExceededText, STATIC_LIMITS, timesCardinality } from './cel/cost-estimate.ts';
export { declareSchema, declareType, sizesOf, structsOf, type Declaration } from './cel/declarations.ts';
export { typedResult, untypedValue } from './cel/json-values.ts';
export { unescapeFieldName } from './cel/field-names.ts';
export { jsonOf, mutationStructs } from './cel/mutation-types.ts';
export {
  admissionEnvironment,
  authorizationEnvironment,
  customResourceEnvironment,
} from './cel/rule-variables.ts';
