import fc from 'fast-check';

// By itself it makes lists of some ten at most, whatever they may have: too short for what goes wrong after a while.
fc.configureGlobal({ ...fc.readConfigureGlobal(), baseSize: 'medium' });

export default fc;
