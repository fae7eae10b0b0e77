// What our gate asks of a token, for nginx: signature, expiry, video, version and height.
import crypto from 'crypto';

const SIGNER = 'SECRET';

function may(r) {
    const header = r.headersIn.Authorization;
    if (!header || !header.startsWith('Bearer ')) {
        return '';
    }
    const token = header.slice(7);
    const dot = token.lastIndexOf('.');
    const text = token.slice(0, dot);
    const signature = crypto.createHmac('sha256', SIGNER).update(text).digest('base64url');
    if (signature !== token.slice(dot + 1)) {
        return '';
    }
    const grant = JSON.parse(Buffer.from(text.slice(text.indexOf('.') + 1), 'base64url'));
    if (grant.exp < Date.now() / 1000 || !grant.uses.includes('play')) {
        return '';
    }
    const scope = `/v/${grant.video}/${grant.version}/`;
    if (!r.uri.startsWith(scope)) {
        return '';
    }
    return parseInt(r.uri.slice(scope.length)) <= grant.height ? '1' : '';
}

export default { may };
