"""The fields that Google's Directory API knows, for checking a `fields` parameter."""

from __future__ import annotations

from typing import Any


def _leaves(words: str) -> dict[str, Any]:
    return dict.fromkeys(words.split())


USER = _leaves(
    "addresses agreedToTerms aliases archivalTime archived changePasswordAtNextLogin"
    " creationTime customSchemas customerId deletionTime emails etag externalIds gender"
    " guestAccountInfo hashFunction id ims includeInGlobalAddressList ipWhitelisted isAdmin"
    " isDelegatedAdmin isEnforcedIn2Sv isEnrolledIn2Sv isGuestUser isMailboxSetup keywords kind"
    " languages lastLoginTime locations name nonEditableAliases notes orgUnitPath organizations"
    " password phones posixAccounts primaryEmail recoveryEmail recoveryPhone relations"
    " sshPublicKeys suspended suspensionReason suspensionTime thumbnailPhotoEtag"
    " thumbnailPhotoUrl websites"
)
USER["name"] = _leaves("displayName familyName fullName givenName")
USERS = {**_leaves("etag kind nextPageToken trigger_event"), "users": USER}
TOKEN = _leaves("anonymous clientId displayText etag kind nativeApp scopes userKey")
TOKENS = {**_leaves("etag kind"), "items": TOKEN}
GROUP = _leaves(
    "adminCreated aliases description directMembersCount email etag externalIds id kind name"
    " nonEditableAliases"
)
GROUPS = {**_leaves("etag kind nextPageToken"), "groups": GROUP}
MEMBER = _leaves("delivery_settings email etag id kind role status type")
MEMBERS = {**_leaves("etag kind nextPageToken"), "members": MEMBER}
